/* SPDX-License-Identifier: MIT */
/*
 * One kernel, made of a function that converts a block
 *
 * Included once for each kernel, after
 *
 *	#define KERNEL         its name; fp16_block_<KERNEL>() converts a block
 *	#define ATTRIBUTES     the instruction set to compile for
 *	#define MODES_ALLOW()  whether the thread's floating-point modes leave
 *	                       fp16_block_<KERNEL>() its result
 *
 * Defines 'struct cvq_kernel kernel_<KERNEL>' and undefines the three.
 */
#define PASTE_2(a, b)  a##_##b
#define PASTE(a, b)    PASTE_2(a, b)
#define NAME(function) PASTE(function, KERNEL)
#define TEXT_2(token)  #token
#define TEXT(token)    TEXT_2(token)

/*
 * The last, partial block goes through a buffer: nothing beyond the caller's
 * bytes is touched, and its values see the same instructions as all others.
 */
static force_inline ATTRIBUTES void NAME(convert)(uint8_t *target, const uint8_t *source,
						  size_t count, block_function *block,
						  bool clamp)
{
	for (; count >= BLOCK; count -= BLOCK) {
		block(target, source, clamp);
		target += 2 * BLOCK;
		source += 4 * BLOCK;
	}
	if (count > 0) {
		uint8_t values[4 * BLOCK] = {0};
		uint8_t halves[2 * BLOCK];

		memcpy(values, source, 4 * count);
		block(halves, values, clamp);
		memcpy(target, halves, 2 * count);
	}
}

static ATTRIBUTES void NAME(fp16)(void *target, const void *source, size_t count)
{
	if (MODES_ALLOW())
		NAME(convert)(target, source, count, NAME(fp16_block), false);
	else
		fp16_portable(target, source, count);
}

static ATTRIBUTES void NAME(fp16_clamp)(void *target, const void *source, size_t count)
{
	if (MODES_ALLOW())
		NAME(convert)(target, source, count, NAME(fp16_block), true);
	else
		fp16_clamp_portable(target, source, count);
}

static ATTRIBUTES void NAME(bf16)(void *target, const void *source, size_t count)
{
	NAME(convert)(target, source, count, bf16_block, false);
}

static ATTRIBUTES void NAME(bf16_clamp)(void *target, const void *source, size_t count)
{
	NAME(convert)(target, source, count, bf16_block, true);
}

static const struct cvq_kernel NAME(kernel) = {
	.name = TEXT(KERNEL),
	.fp16 = NAME(fp16),
	.fp16_clamp = NAME(fp16_clamp),
	.bf16 = NAME(bf16),
	.bf16_clamp = NAME(bf16_clamp),
};

#undef PASTE_2
#undef PASTE
#undef NAME
#undef TEXT_2
#undef TEXT
#undef KERNEL
#undef ATTRIBUTES
#undef MODES_ALLOW
