/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_LINE_H
#define FIFE_LOGD_LINE_H

#include <stddef.h>
#include <stdint.h>

/*
 * A line of a log file:
 *
 *	2026-11-24T18:40:00.123456Z smtpd[4711] received qid=1 from=<a@b> size=10
 *
 * Everything here is pure and borrows from the given octets.
 */

#define LINE_OCTETS_MAX 16384
#define LINE_STAMP_LEN 27

struct line {
	int64_t time_us;
	const char *name; /* of the process */
	size_t name_len;
	uint32_t pid;
	const char *text; /* the rest */
	size_t text_len;
	const char *event; /* first word of a fact */
	size_t event_len;  /* 0: the text is no fact */
};

struct line_kv {
	const char *key;
	size_t key_len;
	const char *val; /* without quotes, escapes still in it */
	size_t val_len;
};

/* buf: without the newline. 0; -1 when it is no such line. */
int line_parse(const char *buf, size_t len, struct line *);

/* Walk the values of a fact; *pos starts at 0. 1, or 0 at the end and at the
 * first thing that is no key=value. */
int line_kv_next(const struct line *, size_t *pos, struct line_kv *);
/* 1 and the value if the fact has that key. */
int line_get(const struct line *, const char *key, struct line_kv *);
/*
 * The value as a string: \" and \\ are undone, \xNN stays, so no control
 * character comes out. Truncates; returns the length.
 */
size_t line_value(const struct line_kv *, char *buf, size_t cap);

/*
 * 1 if the text has word in it, not as a part of a longer address, id or name.
 * Letters of ASCII compare without case.
 */
int line_mentions(const struct line *, const char *word);

/*
 * Copy a text that a process sent: anything a terminal could take for a command
 * (controls, C1 controls, broken UTF-8) becomes \xNN. Truncates; returns the length.
 */
size_t line_clean(char *buf, size_t cap, const char *src);

/* "2026-11-24T18:40:00.123456Z"; years 1970 to 9999, others are clamped. */
void line_stamp(char buf[LINE_STAMP_LEN + 1], int64_t time_us);

/* Days since 1970; "2026-11-24". */
int day_parse(const char *, size_t len, int32_t *day);
void day_format(char buf[11], int32_t day);

#endif
