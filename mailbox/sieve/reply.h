/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_REPLY_H
#define FIFE_SIEVE_REPLY_H

/* Messages that a script sends: a header put together field by field, and a body. */

#include "mailbox/sieve/run.h"

struct sieve_letter {
	struct sieve_run *run;
	char *s;
	size_t len, cap;
	bool failed;
};

void sieve_letter_init(struct sieve_letter *, struct sieve_run *);
/* What would end the line is left out; beyond ASCII: RFC 2047. */
void sieve_letter_field(struct sieve_letter *, const char *name, const char *, size_t);
/* Date, Message-ID, MIME-Version. */
void sieve_letter_basics(struct sieve_letter *, const char *auto_submitted);
/* The text, with line ends CRLF, as text/plain of UTF-8. */
void sieve_letter_text(struct sieve_letter *, const char *, size_t);
/* As it is, with the line ends made CRLF. */
void sieve_letter_raw(struct sieve_letter *, const char *, size_t);
/* 0: the letter is in the memory of the result. */
int sieve_letter_finish(struct sieve_letter *, const char **, size_t *);

/* The first field of that name, or NULL. */
const struct sieve_field *sieve_field_find(struct sieve_run *, const char *name);

#endif
