/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_REMOTE_H
#define FIFE_DELIVERD_REMOTE_H

/*
 * The remote half of deliverd:
 *	jobs.c		what queued wants delivered, and the results to it
 *	walk.c		where to: a route, or the hosts of a domain, one after another
 *	patience.c	jobs whose host has not said a word yet
 *	session.c	a connection: common/conn.h and the engine of smtp_out.h
 *	sessiontls.c	its TLS: what was decided (tlspolicy.h), and what came of it
 *	login.c		its login, for which keyd has the secret
 *	downgrade.c	hosts that had TLS
 *	tlsreport.c	how TLS went, for policyd's reports
 * A job has at most one session at a time. Pointers between job and session are
 * cleared by both sides' ends.
 */

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/channel.h"
#include "common/msg.h"
#include "common/proto/dnshosts.h"
#include "common/proto/dnsrr.h"
#include "common/proto/listpost.h"
#include "common/proto/route.h"
#include "common/proto/tlsrpt.h"
#include "deliverd/remote/smtp_out.h"
#include "deliverd/remote/tlspolicy.h"

#define JOBS_MAX 20000
#define JOB_RCPTS_MAX 20000

struct session;
struct ssl_ctx_st;

enum job_state {
	JOB_COLLECTING,
	JOB_WAITING,
	JOB_RESOLVING,
	JOB_RUNNING
};

/* Why it did not work at one host; kept until another one has been tried. */
struct trouble {
	bool set;
	enum job_status status;
	char enhanced[16];
	char mta[256];
	char reply[1024];
	char text[512];
};

struct job {
	TAILQ_ENTRY(job) entry;   /* of all */
	LIST_ENTRY(job) hash;     /* by id */
	TAILQ_ENTRY(job) waiting; /* for a place */
	enum job_state state;
	uint64_t channel; /* of queued */
	uint64_t id;
	char qid[24];
	char sender[321];
	char domain[256];
	char route_text[ROUTE_MAX + 1]; /* "": by MX */
	char envid[101];
	uint32_t attempts; /* before this one */
	int fd;
	uint64_t size; /* of the content in fd */
	uint8_t *prefix;
	size_t prefix_len;
	/* A list's post: each member is a transaction with a reverse-path and fields of
	 * his own, which stand before the prefix. */
	bool is_post;
	struct listpost post;
	size_t post_at; /* of rcpts: whose turn it is */
	size_t fields_len;
	char fields[LISTPOST_FIELDS_MAX];
	enum body_type body;
	bool smtputf8;
	bool utf8_header;
	uint8_t ret;
	bool require_tls;  /* REQUIRETLS */
	bool tls_optional; /* "TLS-Required: No" */
	int8_t priority;
	int64_t by; /* RFC 2852 */
	uint8_t by_mode;
	bool by_trace;
	struct smtp_out_rcpt *rcpts; /* those without a result yet; strings are ours */
	size_t n_rcpts, cap_rcpts;
	bool *settled; /* by index of rcpts, while a session works on them */

	struct route route;
	bool on_fallback;
	size_t n_fall; /* recipients whose reply asks for the fallback */
	bool mx;
	bool mx_secure; /* DNSSEC vouches for the list of hosts */
	enum sts_mode sts;
	char *sts_mx;
	struct tlspolicy policy; /* of the present host */
	struct {
		int host; /* whose they are, by index of hosts; -1: nobody's */
		enum tlsa_state state;
		bool canonical;
		char base[256];
		uint8_t records[4096]; /* dnsrr.h, usable ones only */
		size_t len;
	} tlsa;
	struct dnshost *hosts;
	size_t n_hosts, host_at, addr_at;
	unsigned int tries;
	uint64_t dns_channel, dns_ask;
	struct trouble trouble;
	struct session *session;
	struct {
		enum {
			PATIENCE_NONE,
			PATIENCE_NEW,
			PATIENCE_LONG
		} state;
		bool resolving; /* it counts as one of those */
		uint64_t since; /* now_ms() */
		TAILQ_ENTRY(job) entry;
	} patience;
	struct smtp_out_message message; /* that the engine borrows */
};

struct remote_stats {
	uint64_t jobs, delivered, deferred, failed, connections, connect_failed, reused,
	    tls;
	uint32_t running, waiting, sessions, idle;
	uint32_t patient; /* jobs that wait for a host to speak: not running */
};

/* main.c */
extern struct msg_conf_deliverd remote_conf;
extern struct remote_stats remote_stats;
const char *remote_helo(void);
struct ssl_ctx_st *remote_tls(void); /* NULL: there is no TLS to be had */

/* jobs.c */
void jobs_message(struct channel *, struct msg *);
void jobs_channel_lost(struct channel *);
/* Start what waits while there are places; called from the loop. */
void jobs_pump(void);
/* Drop what can be dropped; true when nothing is left. */
bool jobs_stop(void);
/* The result of a recipient, by its index in rcpts; detail: words of msg_job_result, for
 * one that is delivered. */
void job_result(struct job *, size_t i, enum job_status, const char *enhanced,
    const char *mta, const char *reply, const char *text, const char *detail);
/* The same for all that have none. */
void job_result_rest(struct job *, enum job_status, const char *enhanced, const char *mta,
    const char *reply, const char *text);
/* Every recipient has its result: tell queued, free it. */
void job_end(struct job *);
/* Take those with a result out of rcpts, so that the rest can be tried anew. */
void job_compact(struct job *);

/* patience.c: a job begins to wait for a host (its name, connection, greeting); it waits
 * no more. What waits for more than a moment takes no place among those that run, here
 * nor in queued. */
void patience_begin(struct job *);
void patience_end(struct job *);

/* walk.c */
void walk_start(struct job *);
void walk_stop(struct job *);
/* This host did not work: on to the next, or give up. */
void walk_next(struct job *, const struct trouble *);
/* The connection that was used again had gone: as if there had been none. */
void walk_again(struct job *);
/* Does the route want its fallback tried for such a reply? */
bool walk_fallback_on(const struct job *, const char *reply, const char *enhanced);
/* Those without a result go there now. */
void walk_fallback(struct job *);
/* Remember the best reason that there is for the end. */
void trouble_keep(struct job *, const struct trouble *);

/* jobs.c: the message for its rcpts, or for the next of a post. false: no more. */
bool job_message(struct job *, bool first);

/* session.c */
/* A connection that is open already and leads there; true when it takes the job. */
bool session_reuse(struct job *);
/* fd: to a socket of this host, which is taken; -1: the address is connected to. */
void session_open(
    struct job *, const struct dnshost *, const struct dnsaddr *, bool plain, int fd);
/* The job leaves it; the connection is closed. */
void session_abort(struct session *);
bool session_past_end(const struct session *);
/* The host has had its time, whatever is set. */
void session_give_up(struct session *);
void session_quit_all_idle(void);

/* session_tls.c */
struct conn;
/* Begin TLS as the job's policy says. 0 or -1: it cannot be done here. */
int session_tls_begin(
    struct conn *, const struct job *, const struct tlspolicy *, const char *name);
/* The handshake is done: is the peer whom the policy wants? why says why not. */
bool session_tls_right(
    const struct conn *, const struct job *, const struct tlspolicy *, const char **why);

/* tlsreport.c: tell policyd how TLS went in a session with that host. conn: NULL where
 * none was made; greeting: "" where there was none. */
void tlsreport_session(const struct job *, const struct tlspolicy *, const struct conn *,
    const char *host, const struct dnsaddr *, const char *greeting, enum tlsrpt_result,
    const char *reason);
/* TLS is there: is it what the policy that is only tested wants as well? */
void tlsreport_established(const struct job *, const struct tlspolicy *,
    const struct conn *, const char *host, const struct dnsaddr *, const char *greeting);
/* What a certificate failed by. */
enum tlsrpt_result tlsreport_certificate(const struct conn *);

/* downgrade.c: a host, by its name, had TLS; or has it been seen with it? */
void downgrade_note(const char *host);
bool downgrade_known(const char *host);

#endif
