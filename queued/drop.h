/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_DROP_H
#define FIFE_QUEUED_DROP_H

/*
 * Messages that sendmail(8) left in spool/drop while smtpd was away
 * (fife-spool(5), DROP FILES). The directory has mode 1733 and belongs to
 * queued; the owner of a file is who submitted it.
 *
 * A file is written as t.RANDOM with mode 0644 (queued has another uid and no
 * capability) and renamed to m.RANDOM when it is complete:
 *
 *	F sender@example.test		once, first; "F" and a space alone: <>
 *	R someone@example.test		once or more
 *	(empty line)
 *	content, as it is; lines may end in LF or CRLF
 *
 * Lines of the envelope end in LF. An address without a domain gets the host's.
 *
 * Before its message is written queued calls the file q.QID.m.RANDOM, so that a crash
 * neither loses nor repeats it: an id that is in the queue means that only the file
 * is left to be removed, any other that the message never became durable.
 */

#include <stddef.h>

#define DROP_DIR "drop"
#define DROP_PREFIX "m."
#define DROP_TMP_PREFIX "t."
#define DROP_TAKEN_PREFIX "q." /* then the queue's id and the old name */
#define DROP_RCPTS_MAX 1000
#define DROP_ENVELOPE_MAX (DROP_RCPTS_MAX * 330 + 330)

struct drop_envelope {
	const char *sender; /* borrowed, (pointer, length) */
	size_t sender_len;
	size_t nrcpt;
	struct {
		const char *p;
		size_t len;
	} rcpt[DROP_RCPTS_MAX];
	size_t content_off;
};

/* Parse the beginning of a file. 0, or -1 with a sentence in *why. */
int drop_parse(const char *buf, size_t len, struct drop_envelope *, const char **why);

struct spool;

/* Scan soon and every few seconds; spool must be open, and nothing delivered from it
 * yet. 0, or -1: the queue must not start, a message could be doubled. */
int drop_start(struct spool *);
void drop_stop(void);

#endif
