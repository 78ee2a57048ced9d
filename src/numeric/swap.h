/* SPDX-License-Identifier: MIT */
/*
 * Numbers of the other byte order
 */
#ifndef CVQ_NUMERIC_SWAP_H
#define CVQ_NUMERIC_SWAP_H

#include <stddef.h>

/*
 * Turns round the bytes of 'count' words of 'word_size' bytes each (1, 2, 4 or 8) at
 * 'words', of any alignment.
 */
void cvq_swap_words(void *words, size_t word_size, size_t count);

#endif
