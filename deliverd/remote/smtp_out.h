/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_SMTP_OUT_H
#define FIFE_DELIVERD_SMTP_OUT_H

/*
 * The client side of SMTP (RFC 5321) and LMTP (RFC 2033) without I/O: octets of
 * the server in, actions out. One engine is one connection; it carries one message
 * after another.
 *
 *	GREETING -> EHLO [-> HELO] [-> STARTTLS -> TLS -> EHLO] -> READY
 *	READY -> ENVELOPE -> DATA -> CONTENT -> END -> READY     any -> QUIT, CLOSED
 *	            \-> RSET -> READY
 *
 * MAIL and all RCPTs go out together where PIPELINING is offered; DATA waits for
 * their replies, so that no empty message can be sent when all are refused. Where
 * CHUNKING is offered too, the content goes by BDAT (RFC 3030) in chunks that wait for no
 * reply, and there is no DATA to wait for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

#define SMTP_OUT_CHUNK 131072 /* octets of content, but for the last chunk */

struct evbuffer;
struct smtp_out;

enum smtp_out_tls {
	SMTP_OUT_TLS_NO,      /* also when there is TLS already */
	SMTP_OUT_TLS_OFFERED, /* when the server offers it */
	SMTP_OUT_TLS_REQUIRED
};

struct smtp_out_conf {
	const char *helo; /* borrowed for the engine's life */
	bool lmtp;
	enum smtp_out_tls tls;
	/* There is no sending but over TLS with a host that has shown who it is; what
	 * REQUIRETLS asks for (RFC 8689). */
	bool verified;
	int64_t (*now)(void); /* wall seconds; NULL: wall_s() */
	bool login;           /* SMTP_OUT_LOGIN comes before the first message */
	bool chunking; /* BDAT where it is offered; binary content needs it anyway */
};

struct smtp_out_rcpt {
	uint32_t number; /* number and index are the caller's */
	size_t index;
	const char *address;
	uint8_t notify;      /* NOTIFY of RFC 3461 as bits, SMTP_OUT_NOTIFY_... */
	const char *orcpt;   /* in xtext, "" for none */
	int64_t rrvs;        /* valid since (RFC 7293), wall seconds */
	uint8_t rrvs_action; /* 'R' or 'C'; 0: nothing is asked */
};
#define SMTP_OUT_NOTIFY_SUCCESS 0x01
#define SMTP_OUT_NOTIFY_FAILURE 0x02
#define SMTP_OUT_NOTIFY_DELAY 0x04
#define SMTP_OUT_NOTIFY_NEVER 0x08

/* Borrowed until SMTP_OUT_DONE, SMTP_OUT_TROUBLE, or smtp_out_free(). */
struct smtp_out_message {
	const char *sender; /* "" for the null path */
	uint64_t size;
	enum body_type body;
	bool smtputf8;
	bool utf8_header;  /* needs it (RFC 6531, 3.2), whatever the addresses do */
	const char *envid; /* in xtext */
	uint8_t ret;       /* 1 FULL, 2 HDRS */
	bool require_tls;  /* RFC 8689 */
	int8_t priority;   /* RFC 6710 */
	int64_t by;        /* RFC 2852: wall seconds */
	uint8_t by_mode;   /* 'R' or 'N'; 0: none */
	bool by_trace;
	const struct smtp_out_rcpt *rcpts;
	size_t n_rcpts;
};

enum smtp_out_kind {
	SMTP_OUT_NONE,     /* needs input */
	SMTP_OUT_STARTTLS, /* begin TLS once the output is sent, then smtp_out_tls_ready()
			    */
	SMTP_OUT_LOGIN,    /* text: the mechanisms offered; smtp_out_auth() follows */
	SMTP_OUT_CHALLENGE, /* reply: in base64; smtp_out_auth_answer() follows */
	SMTP_OUT_LOGGED_IN, /* says the server; smtp_out_auth_done() follows */
	SMTP_OUT_CONTENT,   /* feed content until smtp_out_content_end() */
	SMTP_OUT_RESULT,    /* of a recipient */
	SMTP_OUT_DONE,      /* each recipient has its result: another message may begin */
	SMTP_OUT_TROUBLE,   /* the connection is of no use: those without a result may be
			       tried elsewhere. Close it. */
	SMTP_OUT_CLOSE      /* close it, nothing is lost */
};

struct smtp_out_action {
	enum smtp_out_kind kind;
	/* RESULT and TROUBLE: */
	size_t index;
	enum job_status status;
	const char *enhanced;
	const char *reply; /* words of the server, "" for none */
	const char *text;  /* our sentence */
	/* TROUBLE: TLS that is required was not offered, or refused */
	bool no_tls, tls_refused;
};

struct smtp_out *smtp_out_new(const struct smtp_out_conf *); /* NULL: no memory */
void smtp_out_free(struct smtp_out *);

/* initial: the first answer in base64, NULL for none ("=" when empty, RFC 4954, 4). */
void smtp_out_auth(struct smtp_out *, const char *mechanism, const char *initial);
/* answer in base64; NULL cancels. */
void smtp_out_auth_answer(struct smtp_out *, const char *answer);
/* The server has proved itself as well, where that is part of the mechanism. */
void smtp_out_auth_done(struct smtp_out *);
/* Log in no more: the connection is of no use, for that reason. */
void smtp_out_auth_failed(struct smtp_out *, const char *reply, const char *text);

/* At any time while there is no message. 0; -1: it is closing, or no memory. */
int smtp_out_message(struct smtp_out *, const struct smtp_out_message *);
/*
 * What the server sent. Returns the octets taken: all of them, but for those behind the
 * reply to STARTTLS, which must be thrown away.
 */
size_t smtp_out_input(struct smtp_out *, const uint8_t *, size_t);
void smtp_out_next(struct smtp_out *, struct smtp_out_action *);
/* What is to be sent; the caller moves it out. */
struct evbuffer *smtp_out_output(struct smtp_out *);

void smtp_out_tls_ready(struct smtp_out *);
/* After SMTP_OUT_CONTENT, in slices of any size: line ends become CRLF, dots are
 * stuffed for DATA. 0, or -1: no memory, or the server has given its reply already. */
int smtp_out_content(struct smtp_out *, const void *, size_t);
int smtp_out_content_end(struct smtp_out *);
/* The connection is gone, why in a few words; or it was silent too long. */
void smtp_out_lost(struct smtp_out *, const char *why);
void smtp_out_timeout(struct smtp_out *);
/* Say QUIT when idle. */
void smtp_out_quit(struct smtp_out *);

bool smtp_out_idle(const struct smtp_out *);
/* The longer waits of RFC 5321, 4.5.3.2.4 to 6, apply. */
bool smtp_out_in_data(const struct smtp_out *);
/* The answer to the whole message is awaited: 4.5.3.2.6. */
bool smtp_out_in_final(const struct smtp_out *);
bool smtp_out_in_greeting(const struct smtp_out *);
/* The server takes no 8-bit content; or not the binary content of this message: it must
 * be made 7-bit. To be asked at SMTP_OUT_CONTENT. */
bool smtp_out_needs_7bit(const struct smtp_out *);
/* The server has been greeted and, where TLS was to be had, greeted over TLS. */
bool smtp_out_said_hello(const struct smtp_out *);
/* The name that its greeting begins with, "" for none. */
const char *smtp_out_greeting(const struct smtp_out *);
/* STARTTLS was offered. */
bool smtp_out_offered_tls(const struct smtp_out *);
/* The whole message has been sent: only the server knows what becomes of it. */
bool smtp_out_past_end(const struct smtp_out *);
/* Nothing at all has come for the present message. */
bool smtp_out_untouched(const struct smtp_out *);
/* Grows with every complete reply: what a deadline is measured from. */
uint64_t smtp_out_replies(const struct smtp_out *);
/* The server takes over what senders asked to be told (RFC 3461). */
bool smtp_out_has_dsn(const struct smtp_out *);
/* The server knows until when the present or last message has to arrive (RFC 2852). */
bool smtp_out_has_deliverby(const struct smtp_out *);

#endif
