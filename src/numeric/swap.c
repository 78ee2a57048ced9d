/* SPDX-License-Identifier: MIT */
#include "numeric/swap.h"

#include <stdint.h>
#include <string.h>

/* The compiler makes vector code of these loops. */
#define DEFINE_SWAP(bits)                                                                  \
	static void swap_##bits(uint8_t *bytes, size_t count)                              \
	{                                                                                  \
		for (size_t i = 0; i < count; i++) {                                       \
			uint##bits##_t word;                                               \
			memcpy(&word, bytes + i * sizeof(word), sizeof(word));             \
			word = __builtin_bswap##bits(word);                                \
			memcpy(bytes + i * sizeof(word), &word, sizeof(word));             \
		}                                                                          \
	}
DEFINE_SWAP(16)
DEFINE_SWAP(32)
DEFINE_SWAP(64)

void cvq_swap_words(void *words, size_t word_size, size_t count)
{
	if (word_size == 2)
		swap_16(words, count);
	else if (word_size == 4)
		swap_32(words, count);
	else if (word_size == 8)
		swap_64(words, count);
}
