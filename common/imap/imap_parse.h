/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_PARSE_H
#define FIFE_IMAP_PARSE_H

/*
 * The tokens of IMAP (RFC 9051, 9) out of one command as imap_lex.h collected it.
 * Strings are handed out as pointers into the command, quoted ones unescaped in
 * place: each token can be read once. Everything returns 0, or -1 with args->error set to
 * a sentence for BAD (the first error stays).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct imap_args {
	char *buf;
	size_t len, pos;
	const char *error;
};

struct imap_str {
	const char *s; /* no NUL at its end; may hold any octet when it was a literal */
	size_t len;
};

#define IMAP_TAG_MAX 255

bool imap_is_tag_char(int c);
bool imap_is_atom_char(int c);

void imap_args_init(struct imap_args *, char *buf, size_t len);
int imap_fail(struct imap_args *, const char *error); /* always -1 */
int imap_peek(const struct imap_args *);              /* the next octet, -1 at the end */
int imap_end(struct imap_args *);                     /* nothing may be left */
int imap_sp(struct imap_args *);
int imap_char(struct imap_args *, int c);
int imap_try_char(struct imap_args *, int c); /* 1: it was there and is taken; 0 */

int imap_tag(struct imap_args *, struct imap_str *);
int imap_atom(struct imap_args *, struct imap_str *);
int imap_string(struct imap_args *, struct imap_str *); /* quoted or literal */
int imap_astring(struct imap_args *, struct imap_str *);
int imap_list_mailbox(struct imap_args *, struct imap_str *); /* wildcards too */
int imap_number(struct imap_args *, uint32_t *);
/* mod-sequence-valzer (RFC 7162, 7) and number64: up to 63 bits. */
int imap_modseq(struct imap_args *, uint64_t *);
/* Name of a flag, with "\" for a system flag. */
int imap_flag(struct imap_args *, struct imap_str *);

bool imap_str_is(const struct imap_str *, const char *word); /* ASCII case ignored */
/* Copy with NUL; -1 when too long or a NUL is inside. */
int imap_str_copy(const struct imap_str *, char *out, size_t cap);

#endif
