/* SPDX-License-Identifier: MIT */
/*
 * Sums of numbers and references, with Python's + - * / // and %
 *
 * Whole numbers stay whole, except under /, which makes a fraction of them in any case.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cosyvoice/document.h"

static cvq_err no_number(struct cvq_resolver *resolver, const char *text)
{
	return cvq_explain(resolver->reason, CVQ_ERR_CONTENT,
			   "is '%.60s', which is no number", text);
}

/* ========================================================================== */
/*                                 Operations                                 */
/* ========================================================================== */

static bool add(int64_t a, int64_t b, int64_t *result)
{
	return !__builtin_add_overflow(a, b, result);
}

static bool subtract(int64_t a, int64_t b, int64_t *result)
{
	return !__builtin_sub_overflow(a, b, result);
}

static bool multiply(int64_t a, int64_t b, int64_t *result)
{
	return !__builtin_mul_overflow(a, b, result);
}

/* Rounds down, and the rest has the divisor's sign. */
static bool divide(int64_t a, int64_t b, int64_t *result)
{
	if (b == 0 || (b == -1 && a == INT64_MIN))
		return false;
	*result = a / b - (a % b != 0 && (a < 0) != (b < 0));
	return true;
}

static bool find_rest(int64_t a, int64_t b, int64_t *result)
{
	int64_t quotient;
	if (!divide(a, b, &quotient))
		return false;
	*result = a - quotient * b;
	return true;
}

static const struct operation {
	const char *sign; /* a longer one before its beginning */
	unsigned rank;
	bool (*whole)(int64_t a, int64_t b, int64_t *result); /* NULL: makes a fraction */
} operations[] = {
	{"+", 1, add},     {"-", 1, subtract}, {"*", 2, multiply},
	{"//", 2, divide}, {"/", 2, NULL},     {"%", 2, find_rest},
};

#define HIGHEST_RANK 2

static double calculate(const struct operation *operation, double a, double b)
{
	switch (operation->sign[0]) {
	case '+':
		return a + b;
	case '-':
		return a - b;
	case '*':
		return a * b;
	case '%':
		return a - floor(a / b) * b;
	default:
		return operation->whole ? floor(a / b) : a / b;
	}
}

static double real_of(const struct cvq_yaml_number *number)
{
	return number->whole ? (double)number->integer : number->real;
}

/* False if the result is no number. */
static bool apply(const struct operation *operation, struct cvq_yaml_number *left,
		  const struct cvq_yaml_number *right)
{
	if (left->whole && right->whole && operation->whole)
		return operation->whole(left->integer, right->integer, &left->integer);
	left->real = calculate(operation, real_of(left), real_of(right));
	left->whole = false;
	return isfinite(left->real);
}

/* ========================================================================== */
/*                                   Reading                                  */
/* ========================================================================== */

static const struct operation *read_operation(const char **text, unsigned rank)
{
	const char *at = *text + strspn(*text, " ");
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		size_t length = strlen(operations[i].sign);
		if (operations[i].rank == rank &&
		    strncmp(at, operations[i].sign, length) == 0) {
			*text = at + length;
			return &operations[i];
		}
	}
	return NULL;
}

/* Which base "0x", "0o" or "0b" announces; moves behind it. */
static unsigned read_base(const char **text)
{
	static const char letters[] = "box";
	static const unsigned bases[] = {2, 8, 16};
	const char *letter = (*text)[0] == '0' && (*text)[1] != '\0'
				     ? strchr(letters, (*text)[1])
				     : NULL;
	if (!letter)
		return 10;
	*text += 2;
	return bases[letter - letters];
}

static unsigned value_of_digit(char digit)
{
	static const char digits[] = "00112233445566778899aAbBcCdDeEfF";
	const char *at = digit != '\0' ? strchr(digits, digit) : NULL;
	return at ? (unsigned)(at - digits) / 2 : UINT_MAX;
}

/* Reads digits, each of which may have an underscore before it, and moves behind them. */
static bool read_digits(const char **text, unsigned base, int64_t *number)
{
	const char *begin = *text;
	bool fits = true;
	*number = 0;
	for (;;) {
		bool separated = **text == '_';
		unsigned digit = value_of_digit((*text)[separated]);
		if (digit >= base)
			return fits && *text > begin;
		fits = fits && multiply(*number, base, number) &&
		       add(*number, digit, number);
		*text += separated + 1;
	}
}

/* Reads the number that the text begins with, and moves behind it. */
static bool read_number(const char **text, struct cvq_yaml_number *number)
{
	const char *at = *text + (**text == '-' || **text == '+');
	unsigned base = read_base(&at);
	bool read = read_digits(&at, base, &number->integer);
	number->whole = base != 10 || *at == '\0' || !strchr(".eE", *at);
	if (number->whole) {
		if (**text == '-')
			number->integer = -number->integer;
	} else {
		char *end;
		number->real = strtod(*text, &end);
		read = end != *text && isfinite(number->real);
		at = end;
	}
	*text = at;
	return read;
}

bool cvq_plain_number(const char *text, struct cvq_yaml_number *number)
{
	return *text != '_' && read_number(&text, number) && *text == '\0';
}

/* Python's numbers have no zeros before them. */
static bool read_literal(const char **text, struct cvq_yaml_number *number)
{
	const char *begin = *text;
	if (*begin == '\0' || !strchr(".0123456789", *begin) || !read_number(text, number))
		return false;
	return !number->whole || number->integer == 0 || begin[0] != '0' ||
	       !strchr("0123456789_", begin[1]);
}

static cvq_err read_reference(struct cvq_resolver *resolver, const char **text,
			      struct cvq_yaml_number *number)
{
	cvq_yaml_node node;
	cvq_err err = cvq_reference_find(resolver, *text, &node);
	if (err)
		return err;
	const yaml_node_t *target = cvq_node_of(resolver->yaml, node);
	const char *begin = *text;
	*text += cvq_reference_length(*text);
	if (cvq_is_reference(target))
		err = cvq_arithmetic(resolver, cvq_scalar_of(target), number);
	else if (target->type != YAML_SCALAR_NODE ||
		 !cvq_plain_number(cvq_scalar_of(target), number))
		return no_number(resolver, begin);
	/* HyperPyYAML puts the number's text here, and takes no signs in sums. */
	return !err && real_of(number) < 0 ? no_number(resolver, begin) : err;
}

static cvq_err read_rank(struct cvq_resolver *resolver, const char **text, unsigned rank,
			 struct cvq_yaml_number *number);

/* A number, a reference, or a sum in parentheses. */
static cvq_err read_operand(struct cvq_resolver *resolver, const char **text,
			    struct cvq_yaml_number *number)
{
	cvq_err err = cvq_resolver_step(resolver);
	if (err)
		return err;
	*text += strspn(*text, " ");
	if (cvq_reference_length(*text) > 0)
		return read_reference(resolver, text, number);
	const char *begin = *text;
	if (*begin != '(')
		return read_literal(text, number) ? 0 : no_number(resolver, begin);
	++*text;
	err = read_rank(resolver, text, 1, number);
	if (err)
		return err;
	*text += strspn(*text, " ");
	if (**text != ')')
		return no_number(resolver, begin);
	++*text;
	return 0;
}

/* Operands of a higher rank, joined by operations of this one. */
static cvq_err read_rank(struct cvq_resolver *resolver, const char **text, unsigned rank,
			 struct cvq_yaml_number *number)
{
	if (rank > HIGHEST_RANK)
		return read_operand(resolver, text, number);
	const char *begin = *text;
	const struct operation *operation;
	cvq_err err = read_rank(resolver, text, rank + 1, number);
	while (!err && (operation = read_operation(text, rank))) {
		struct cvq_yaml_number right = {0};
		err = read_rank(resolver, text, rank + 1, &right);
		if (!err && !apply(operation, number, &right))
			err = no_number(resolver, begin);
	}
	return err;
}

cvq_err cvq_arithmetic(struct cvq_resolver *resolver, const char *text,
		       struct cvq_yaml_number *number)
{
	const char *at = text;
	if (!strchr(text, '<')) /* what has no reference is just text */
		return no_number(resolver, text);
	if (strstr(text, "**"))
		return cvq_explain(resolver->reason, CVQ_ERR_CONTENT,
				   "is the power '%.60s', which cvq does not compute",
				   text);
	cvq_err err = read_rank(resolver, &at, 1, number);
	if (err)
		return err;
	return at[strspn(at, " ")] == '\0' ? 0 : no_number(resolver, text);
}
