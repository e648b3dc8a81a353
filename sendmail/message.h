/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SENDMAIL_MESSAGE_H
#define FIFE_SENDMAIL_MESSAGE_H

/*
 * The message on standard input and what becomes of it: lines ended by LF,
 * recipients from the header with -t, missing fields added.
 */

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_MAX (1024ul * 1024 * 1024)
#define MESSAGE_RCPTS_MAX 100000

struct message {
	char *text; /* lines end in LF */
	size_t len;
	size_t cap;
	char **rcpts; /* as given: perhaps without a domain */
	size_t nrcpts;
	int dots; /* a line of one dot ends it */
	int cr;   /* reading: the last octet was a CR */
	int ended;
	int eight_bit;
	size_t line; /* where the last line begins */
};

/* What is known of the submitter. */
struct message_facts {
	const char *sender;    /* "user@domain", for From */
	const char *full_name; /* may be empty; UTF-8 */
	const char *domain;    /* for Message-ID */
	int64_t time;
	int zone_min;
	uint64_t unique;
};

void message_init(struct message *, int dots);
void message_clear(struct message *);
/*
 * Add octets as they come: LF, CR LF and a CR alone (progress bars in cron's mail) end
 * lines; NULs are left out. 1: goes on, 0: the end was seen, -1 with errno.
 */
int message_read(struct message *, const char *in, size_t len);
/* The last line gets its end. 0 or -1. */
int message_read_end(struct message *);
/* One address, "Name <address>" or several of them after commas or semicolons.
 * 0, or -1: none there, or too many. */
int message_add_rcpts(struct message *, const char *s, size_t len);
/*
 * Rewrites the header: a leading "From " line and Bcc go, what is missing of From,
 * Date and Message-ID comes. from_header: add the recipients of To, Cc and Bcc, or
 * those of the Resent- fields when there are any. 0 or -1 with errno.
 */
int message_finish(struct message *, const struct message_facts *, int from_header);

#endif
