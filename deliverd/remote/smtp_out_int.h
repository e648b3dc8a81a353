/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_SMTP_OUT_INT_H
#define FIFE_DELIVERD_SMTP_OUT_INT_H

/* Shared by smtp_out.c (states and replies), smtp_out_ehlo.c (extensions) and
 * smtp_out_send.c (commands, content). */

#include "deliverd/remote/explain.h"
#include "deliverd/remote/reply.h"
#include "deliverd/remote/smtp_out.h"

#define SMTP_OUT_REPLY_MAX 1023
#define SMTP_OUT_TEXT_MAX 511

enum state {
	S_GREETING,
	S_EHLO,
	S_HELO,
	S_STARTTLS,
	S_TLS,
	S_LOGIN,     /* the caller chooses */
	S_AUTH,      /* the server's turn */
	S_CHALLENGE, /* the caller's turn */
	S_READY,
	S_ENVELOPE,
	S_DATA,
	S_CONTENT,
	S_END,
	S_RSET,
	S_QUIT,
	S_CLOSED
};

enum rcpt_state {
	R_WAIT,
	R_SENT,
	R_ACCEPTED,
	R_SETTLED,
	R_TOLD
};

struct rcpt {
	enum rcpt_state state;
	enum job_status status;
	char enhanced[REPLY_ENHANCED_MAX + 1];
	char *reply; /* NULL: "" */
	char *text;
};

enum { /* what the server offers */
	EXT_PIPELINING = 1 << 0,
	EXT_8BITMIME = 1 << 1,
	EXT_SIZE = 1 << 2,
	EXT_SMTPUTF8 = 1 << 3,
	EXT_DSN = 1 << 4,
	EXT_STARTTLS = 1 << 5,
	EXT_CHUNKING = 1 << 6,
	EXT_BINARYMIME = 1 << 7,
	EXT_REQUIRETLS = 1 << 8,
	EXT_DELIVERBY = 1 << 9,
	EXT_MT_PRIORITY = 1 << 10,
	EXT_RRVS = 1 << 11
};

struct smtp_out {
	struct smtp_out_conf conf;
	enum state state;
	bool tls;
	bool offered_tls;
	bool logged_in;
	unsigned int ext;
	uint64_t size_max;    /* of EXT_SIZE, 0: none */
	uint64_t by_min;      /* of EXT_DELIVERBY, seconds */
	char mechanisms[256]; /* of AUTH */
	char greeting[256];   /* its first word */
	struct reply reply;
	uint64_t n_replies;
	struct evbuffer *out;

	const struct smtp_out_message *m;
	struct rcpt *rcpts;
	size_t n_unsettled;
	size_t tell;       /* first that may have to be told */
	size_t next_send;  /* first that may have to be sent */
	size_t next_reply; /* first that may wait for its reply */
	size_t stale;      /* replies to come that mean nothing */
	bool mail_sent;
	bool mail_replied;
	bool mail_refused;
	bool any_accepted;
	bool answered; /* something came for this message */

	bool want_tls; /* actions that are due */
	bool want_content;
	bool want_login;
	bool want_challenge;
	bool want_logged_in;
	bool want_done;
	bool want_trouble;
	bool want_close;
	bool no_tls, tls_refused;
	enum job_status trouble_status;
	char trouble_enhanced[REPLY_ENHANCED_MAX + 1];
	char trouble_reply[SMTP_OUT_REPLY_MAX + 1];
	char trouble_text[SMTP_OUT_TEXT_MAX + 1];

	bool raw;              /* content goes out as it is, in one BDAT of its size */
	bool chunked;          /* it is gathered, and goes out in several */
	struct evbuffer *body; /* of the next chunk, made when there is one */
	size_t chunks;         /* whose replies are to come */
	bool at_line_start;    /* of the content */
	bool held_cr;
};

/* smtp_out_send.c; all of them mark the engine closed when memory is short. */
void smtp_out_say(struct smtp_out *, const char *, ...)
    __attribute__((format(printf, 2, 3)));
void smtp_out_send_envelope(struct smtp_out *);
void smtp_out_no_memory(struct smtp_out *);
/* The content goes by BDAT in chunks. */
bool smtp_out_chunks(const struct smtp_out *);
/* The server takes binary content. */
bool smtp_out_binary(const struct smtp_out *);
/* smtp_out_ehlo.c: the reply has the extensions that the server offers. */
void smtp_out_take_keywords(struct smtp_out *);
/* smtp_out_auth.c */
void smtp_out_got_auth(struct smtp_out *);
/* smtp_out_check.c: does the server offer what the message cannot do without? If not, its
 * recipients have their results, or the connection is given up. */
bool smtp_out_suits(struct smtp_out *);
/* Those to whom nothing has been sent yet have failed. */
void smtp_out_settle_waiting(struct smtp_out *, const char *enhanced, const char *text);
/* Seconds until the message has to arrive, as RFC 2852, 4 wants it. */
long long smtp_out_by_left(const struct smtp_out *);
/* smtp_out.c */
/* Say QUIT; the message may be tried at another host. */
void smtp_out_unsuited(struct smtp_out *, const char *enhanced, const char *text);
void smtp_out_become_ready(struct smtp_out *);
/* The connection is over; whoever has no result may be tried elsewhere. */
void smtp_out_trouble(struct smtp_out *, enum job_status, const char *enhanced,
    const char *reply, const char *text);
void smtp_out_broken(struct smtp_out *); /* this is not SMTP */
void smtp_out_settle(struct smtp_out *, size_t i, enum job_status, const char *enhanced,
    const char *reply, const char *text);

#endif
