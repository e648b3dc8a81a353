/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_WORDS_H
#define FIFE_QUEUED_WORDS_H

/* All that a bounce says to people, language by language. */

#include <stddef.h>

enum lang {
	LANG_EN,
	LANG_ZH, /* simplified Chinese */
	LANGS
};

enum word {
	WORD_GREETING, /* %s: our name */
	/* by enum bounce_action; %s: when it came */
	WORD_FAILED,
	WORD_DELAYED,
	WORD_DELIVERED,
	WORD_RELAYED,
	WORD_EXPANDED,
	/* the same as subjects */
	WORD_SUBJECT_FAILED,
	WORD_SUBJECT_DELAYED,
	WORD_SUBJECT_DELIVERED,
	WORD_SUBJECT_RELAYED,
	WORD_SUBJECT_EXPANDED,
	WORD_MORE,     /* %zu: recipients that are not listed */
	WORD_SAID,     /* %s: a host */
	WORD_ADVICE,   /* leads a sentence of words_advice() */
	WORD_LAST_TRY, /* leads another, of the last try before time ran out */
	WORD_UNTIL,    /* %s: a date */
	WORD_NUMBER,   /* %s: queue id */
	WORD_DATE,     /* for strftime(3) */
	WORDS
};

/* "en", "zh"; LANGS: none of these. */
enum lang words_lang(const char *code);
const char *words_code(enum lang);
/* Never NULL; "" only where a table is not complete, which a test finds. */
const char *words_get(enum lang, enum word);
/*
 * One sentence that says what the sender can do, by the enhanced status code and, where
 * that is too coarse, by the words of the reply.
 */
void words_advice(
    enum lang, const char *enhanced, const char *reply, char *buf, size_t cap);
/* Has the table a sentence for that enhanced status code itself? */
int words_advice_known(const char *enhanced);
/* The i-th row of that table, for tests: its code, "" for those by words; NULL at the
 * end. */
const char *words_advice_row(size_t i, enum lang, const char **sentence);

#endif
