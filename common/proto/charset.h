/* SPDX-License-Identifier: ISC */
/*
 * Conversion to UTF-8 from the charsets of an allow list.  UTF-8, US-ASCII and
 * windows-1252 (also used for ISO-8859-1) are own code; of most others iconv is asked for
 * a table when the charset is first wanted.  After a chroot it would find none of its
 * modules: charset_preload() asks for all of them before, and children share the tables.
 * Names that mail uses for a subset are widened (GB2312 to GB18030, Shift_JIS to CP932,
 * EUC-KR to UHC, as browsers do).
 */
#ifndef FIFE_CHARSET_H
#define FIFE_CHARSET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/proto/charset_table.h"

#define CHARSET_NAME_MAX 63

/* Makes all tables, once and before there are threads.  Returns how many of the list
 * this system's iconv does not know (0 is well). */
int charset_preload(void);
/* Forgets them (tests). */
void charset_unload(void);
/* The charset of that name, in any case, is on the list and has its table. */
bool charset_known(const char *name, size_t len);
/* The nth name of the list (from 0), or NULL. */
const char *charset_name(size_t n);

/*
 * Never fails: malformed input gives U+FFFD, an unknown charset is read as UTF-8 when it
 * is valid as such, otherwise as windows-1252.  out is valid UTF-8 with a NUL, cut at a
 * character's edge.  Returns 0, or 1 when something was replaced, guessed or cut.
 */
int charset_to_utf8(const char *charset, size_t charset_len, const char *in, size_t len,
    char *out, size_t cap, size_t *out_len);

/* The same in pieces, for bodies. */
struct charset_conv {
	int row;       /* of the table */
	bool replaced; /* something was */
	unsigned int nheld;
	char held[16]; /* an incomplete character at the end of a piece */
	struct charset_state state;
};
/* false: unknown charset, will be read as windows-1252 unless pieces are UTF-8. */
bool charset_conv_init(struct charset_conv *c, const char *charset, size_t len);
/*
 * Takes *used of in and writes *made octets of valid UTF-8, no NUL added.  Stops early
 * only when out is full; cap must be 64 or more.  The last piece is given with last set
 * (it may be empty), again until *used == len.
 */
void charset_conv_feed(struct charset_conv *c, const char *in, size_t len, bool last,
    char *out, size_t cap, size_t *used, size_t *made);

#endif
