/* SPDX-License-Identifier: ISC */
/*
 * Transfer and text encodings: base64 and quoted-printable (RFC 2045, 6.7 and 6.8), xtext
 * (RFC 3461, 4), modified UTF-7 (RFC 3501, 5.1.3), UTF-8 (RFC 3629), hex.  Bounded, no
 * allocation.  Where int is returned it is a length, or -1 for malformed or no room.
 * Output of the *_encode functions and of the text decoders ends in a NUL that the length
 * does not count.
 */
#ifndef FIFE_ENCODING_H
#define FIFE_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the encoded form with its NUL. */
#define BASE64_ENCODED_SIZE(n) (((n) + 2) / 3 * 4 + 1)

/* One line, padded. */
int base64_encode(const void *in, size_t len, char *out, size_t cap);
/* Lines of 76 characters, each ended by CRLF (the last one too). */
int base64_encode_lines(const void *in, size_t len, char *out, size_t cap);
/*
 * Strict (RFC 4648, 4), for SASL and DKIM keys: no white space, padding required and
 * final, unused bits zero.  out gets no NUL.
 */
int base64_decode(const char *in, size_t len, void *out, size_t cap);

/* Content-Transfer-Encoding; unknown ones decode as identity. */
enum cte {
	CTE_7BIT,
	CTE_8BIT,
	CTE_BINARY,
	CTE_BASE64,
	CTE_QP,
	CTE_UUENCODE,
	CTE_UNKNOWN
};
enum cte cte_by_name(const char *name, size_t len);

/*
 * Tolerant streaming decoder for message bodies.  Feed in any chunks; the result does not
 * depend on them.  base64: what is outside the alphabet is skipped, padding ends a group
 * and decoding goes on after it.  quoted-printable: a broken escape is kept literally,
 * trailing white space of lines is removed, lower case hex and bare LF are accepted.
 */
struct cte_decoder {
	enum cte cte;
	uint32_t bits; /* base64 */
	unsigned int nbits;
	bool malformed;     /* something was skipped or kept literally */
	unsigned int nheld; /* octets that wait for what follows */
	char held[256];
	unsigned int uu_state;
	bool uu_long; /* the line is longer than held[] */
};
void cte_init(struct cte_decoder *d, enum cte cte);
/*
 * Takes *used of in and writes *made to out (not more than cap).  Stops early only
 * when less than 300 octets of room are left; cap must be 512 or more.
 */
void cte_feed(struct cte_decoder *d, const char *in, size_t len, char *out, size_t cap,
    size_t *used, size_t *made);
/* At the end of input: flushes what was held; returns the octets written (cap as above).
 */
size_t cte_finish(struct cte_decoder *d, char *out, size_t cap);

/* Text (CRLF or LF line ends become CRLF), lines of at most 76, "From " and "."
 * protected. */
int qp_encode(const char *in, size_t len, char *out, size_t cap);
/* The Q decoding of one RFC 2047 word ("_" is a space).  out gets no NUL. */
int qp_decode_word(const char *in, size_t len, char *out, size_t cap);

/* xtext.  Decoding is strict; the result may hold any octet but NUL. */
int xtext_encode(const char *in, size_t len, char *out, size_t cap);
int xtext_decode(const char *in, size_t len, char *out, size_t cap);

/*
 * IMAP mailbox names.  utf7_to_utf8 is strict: no printable ASCII in base64, no
 * needless shift, no surrogate alone, no NUL or other control characters.
 */
int utf7_from_utf8(const char *in, size_t len, char *out, size_t cap);
int utf7_to_utf8(const char *in, size_t len, char *out, size_t cap);

/* No overlong forms, surrogates or values above U+10FFFF; NUL is a character like others.
 */
bool utf8_valid(const char *s, size_t len);
/* One character: octets used (1-4), or 0 when s does not start with a complete valid one.
 */
size_t utf8_get(const char *s, size_t len, uint32_t *c);
/* Octets written (1-4), or 0 when c is no character.  out has room for 4. */
size_t utf8_put(uint32_t c, char *out);
/* The longest length <= max at which s can be cut between characters. */
size_t utf8_cut(const char *s, size_t len, size_t max);

int hex_encode(const void *in, size_t len, char *out, size_t cap);
int hex_decode(const char *in, size_t len, void *out, size_t cap);

/* ASCII only, without regard to the locale. */
int ascii_lower(int c);
bool ascii_equal(
    const char *a, size_t alen, const char *b); /* b ends in NUL; case ignored */

#endif
