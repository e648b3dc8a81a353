/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SENDMAIL_SUBMIT_H
#define FIFE_SENDMAIL_SUBMIT_H

/* Giving a message to smtpd on STATE/public/submit. */

#include "sendmail/host.h"
#include "sendmail/message.h"

enum submit_result {
	SUBMIT_OK,
	SUBMIT_TEMP,    /* nothing was lost: rcpt_state says who is left */
	SUBMIT_REFUSED, /* some recipients, or the message, for good; text says why */
};

enum rcpt_state {
	RCPT_PENDING,
	RCPT_GIVEN,
	RCPT_DONE,
	RCPT_REFUSED,
	RCPT_LATER
};

struct submit {
	const char *sender;  /* without <> */
	uint8_t *rcpt_state; /* one each, enum rcpt_state */
	char text[1024];     /* the last refusal */
	int verbose;
};

/* A connected socket, or -1 with errno. */
int submit_connect(const struct host *);
enum submit_result submit_message(
    const struct host *, struct submit *, const struct message *);
/* -bs: carry octets both ways. Exit status. */
int submit_relay(const struct host *);

#endif
