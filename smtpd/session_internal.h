/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_SESSION_INTERNAL_H
#define FIFE_SMTPD_SESSION_INTERNAL_H

/* What session.c, ask.c, rdns.c and txn.c share. */

#include "common/msg.h"
#include "smtpd/session.h"

/* A question on its way; id 0: none. */
struct ask {
	uint64_t channel; /* serial */
	uint64_t id;
};

/* The message that is being received; all zero between messages. */
struct txn {
	uint64_t id;      /* 0: none at queued */
	uint64_t channel; /* serial of the channel to queued that knows it */
	int fd;
	uint64_t written;
	uint64_t memory_max;
	uint8_t spilled;
	uint8_t spilling; /* no input meanwhile */
	uint8_t failed;
	uint8_t complete;
	uint8_t disposition;
	uint8_t whole; /* goes to queued at its end, from text; see txn_whole.c */
	char *text;
	size_t text_cap;
	char qid[24];
	size_t fields_off; /* of smtp_fields_rrvs() */
	char *reason;
	char *headers; /* of the verdict */
	size_t headers_len;
};

struct session {
	TAILQ_ENTRY(session) entry;
	uint64_t id;
	struct conn *conn;
	struct smtp_in *in;
	enum listener_kind kind;
	struct sockaddr_storage peer;
	uint8_t counted;   /* by limit.h */
	uint8_t handshake; /* TLS is being set up */
	uint8_t implicit;  /* the greeting comes after it */
	uint8_t eof;
	uint8_t closing;
	uint8_t bye; /* the last reply was the answer to QUIT */
	uint8_t running;
	uint8_t certificates;   /* the client is asked for one */
	uint8_t login_ended;    /* it goes once its message is in */
	uint8_t progress;       /* the deadline starts anew */
	uint64_t data_since_ms; /* when content was asked for; 0: none is read */
	uint64_t data_octets;
	uint32_t uid; /* LISTENER_LOCAL */
	char client[64];
	char *client_name;       /* verified, NULL: none */
	char *rdns;              /* not verified yet */
	uint8_t reverse;         /* enum gate_reverse */
	struct gatekeeper *gate; /* NULL: not for this one */

	struct ask ask; /* the engine waits for it */
	uint16_t sender_rrtype;
	struct ask dns;
	uint8_t sasl; /* an exchange is open at authd */
	uint64_t sasl_channel;
	uint64_t login;
	uint64_t login_channel;
	char *login_address;
	uint8_t tried_known; /* the name has been said, be it empty: a password follows */
	uint8_t held;        /* authd wants the message held */
	char held_why[256];
	char mechanism[32];
	char *tried; /* the name in a login that goes on, for the log */

	struct txn txn;

	int url_fd; /* content by BURL, that is read in the client's place; -1 */
	uint64_t url_size, url_at;
};

/* Go on after an answer. The session may be gone afterwards. */
void session_run(struct session *);
/* The end of a message, one way or the other; session_run() comes after it. */
void session_reply_committed(
    struct session *, int code, const char *enhanced, const char *text);

/* ask.c: authd */
void ask_forget(struct ask *);
void ask_rcpt(struct session *, const char *address);
void ask_sasl(struct session *, const struct smtp_action *);
void ask_sasl_abort(struct session *);
void ask_logout(struct session *);

/* session.c: the client's address of s->peer, IPv4 also in IPv6's clothes: its length, or
 * 0. s->client from s->peer; is a sender's domain asked about? */
size_t session_client_ip(const struct session *, const uint8_t **ip);
void session_name_client(struct session *);
int session_checks_sender(const struct session *);

#define CERTIFICATE_MAX 4096 /* as in payload.def */

/* burl.c */
void burl_ask(struct session *, const char *url);
/* A piece to the machine. 0: it takes none now. */
int burl_feed(struct session *);
void burl_end(struct session *);

/* xclient.c */
void xclient_take(struct session *, const struct xattr *);

/* sender.c */
void ask_sender(struct session *);

/* rcpt_domain.c: the domain of a recipient that is to be relayed: 1 when it answers
 * later, 0 when there is nothing to be asked. */
int ask_rcpt_domain(struct session *);
/* Does that answer say that the domain takes no mail (RFC 7505)? */
int answer_is_null_mx(const struct msg_dns_answer *);

/* rdns.c */
void ask_client_name(struct session *);

/* etrn.c: queued */
void ask_etrn(struct session *, const char *domain);

/* txn.c: queued and filterd */
void txn_open(struct session *);
void txn_write(struct session *, const char *data, size_t len);
void txn_commit(struct session *);
/* Forget the transaction, here and at queued. */
void txn_abort(struct session *);
/* The content is complete and its fields are answered: on to filterd. */
void txn_judge(struct session *);

/* owners.c: 1 when it goes on with txn_judge() or txn_finish_reply(), 0 when nothing is
 * asked.
 */
int ask_owners(struct session *);

/* txn_whole.c: what filterd says without being asked */
void txn_peer_message(struct channel *, struct msg *);

/* main.c */
const struct smtp_in_conf *smtpd_in_conf(void);
const struct msg_conf_smtpd *smtpd_conf(void);
struct ssl_ctx_st *smtpd_tls(void); /* NULL: no certificate */

#endif
