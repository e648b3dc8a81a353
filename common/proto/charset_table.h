/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CHARSET_TABLE_H
#define FIFE_CHARSET_TABLE_H

/*
 * What iconv says of each character of a charset, asked once and kept: a process that
 * has the tables needs none of iconv's modules, which would be a few hundred mappings
 * for every fork to copy. All tables lie in one mapping, which children share.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum charset_kind {
	CHARSET_OWN, /* code alone */
	CHARSET_UTF16BE,
	CHARSET_UTF16LE,
	CHARSET_UTF7,
	CHARSET_OCTETS,   /* one to three octets a character */
	CHARSET_COMPOSED, /* one octet each, and marks that join what stands before */
	CHARSET_GB18030,  /* also four octets */
	CHARSET_2022_JP,
	CHARSET_2022_KR
};

/* Of a text in a charset that has some; all zero at its begin. */
struct charset_state {
	uint8_t set;     /* enum charset_set: of 7-bit octets */
	uint8_t single;  /* that one character of ESC N is of */
	uint8_t in64, n; /* UTF-7: in base64, and so many bits wait */
	uint16_t high;   /* UTF-7: half of a pair */
	uint32_t bits;
};

enum charset_set {
	SET_ASCII,
	SET_ROMAN, /* JIS X 0201 */
	SET_JIS,
	SET_JIS_MORE, /* JIS X 0212 */
	SET_GB,
	SET_KS,
	SET_LATIN,
	SET_GREEK,
	SETS
};

#define CHARSET_MORE (-1)
#define CHARSET_OCTETS_MAX 8 /* of one character or escape sequence */

/*
 * Makes the table of a row, under the name that iconv has for it; 0, or -1 when it does
 * not know it. What has no need of a table is ready at once. Before charset_table_share()
 * only.
 */
int charset_table_make(size_t row, enum charset_kind, const char *iconv_name);
/*
 * Calls make() in a process of its own, so that what iconv maps stays there, and keeps
 * the tables, which from then on are read-only. What make() returned, or -1.
 */
int charset_table_share(int (*make)(void));
/* Forgets them. */
void charset_table_free(void);
bool charset_table_ready(size_t row);

/*
 * The next character of p, of len octets: how many of them it takes, and in out up to two
 * code points (none for an escape sequence). 0: malformed. CHARSET_MORE: it may go on
 * behind these octets; never where this is the last piece.
 */
int charset_table_get(size_t row, enum charset_kind, struct charset_state *,
    const uint8_t *p, size_t len, bool last, uint32_t out[2], size_t *n_out);

/* As it, for what has states (charset_states.c). */
int charset_utf7_get(struct charset_state *, const uint8_t *p, size_t len, bool last,
    uint32_t out[2], size_t *n_out);
int charset_2022_get(size_t row, bool korean, struct charset_state *, const uint8_t *p,
    size_t len, bool last, uint32_t out[2], size_t *n_out);
/* The character of one or two octets in a set; len is 1 or 2, the top bits count not. 0
 * for none. */
uint32_t charset_set_get(size_t row, enum charset_set, const uint8_t *p, size_t len);

#endif
