/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FIFED_INTERNAL_H
#define FIFE_FIFED_INTERNAL_H

/*
 * What the parts of fifed share. There is one struct suite; everything runs in
 * one event loop. fifed reads its configuration and the messages of its own
 * daemons, never a byte from the network or of mail.
 */

#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>

#include "common/channel.h"
#include "common/conf/conf.h"
#include "common/ctl.h"
#include "common/role.h"

struct event;
struct event_base;

#define SUITE_CHILDREN_MAX 32
#define SUITE_LISTENERS_MAX CONF_LISTENERS_MAX

struct suite;

/* The site's Sieve scripts in one piece; fd -1: none. site.c */
struct site_scripts {
	int fd;
	uint64_t size;
};

/* A daemon: one that runs, or the place of one that will be started again. */
struct child {
	struct suite *suite;
	enum role role;
	uint32_t instance;
	char name[24];      /* of its control socket: smtpd, smtpd-1 */
	pid_t pid;          /* 0: not running */
	struct channel *ch; /* NULL: not running, or about to be reaped */
	int ready;
	uint64_t generation; /* that it has last said READY to */
	uint64_t ready_ms;   /* monotonic */
	int64_t since_s;     /* wall time of the start */
	uint32_t backoff_ms; /* of the next restart; 0: none yet */
	uint32_t restarts;
	uint32_t early_deaths; /* in a row, before any READY */
	struct event *ev_start;
	int ctl_fd;
	/* Complaints of neighbours, graph.c. */
	uint64_t blamed_ms;
	uint32_t blamed;
	uint32_t blamed_by; /* bits: places in suite.children */
	uint64_t killed_ms;
	uint64_t said_ms; /* its own complaints */
	uint32_t said;
};

struct listener {
	struct msg_listener m;
	int fd;
};

/* Parts of a stop, in order; stop.c. */
#define STOP_PHASES 5

struct suite {
	struct event_base *base;
	struct conf *conf;
	struct site_scripts site;
	const char *conf_path;
	char libexec[CONF_PATH_MAX + 1];
	int on_terminal; /* SIGHUP may mean that it is gone */
	int foreground;
	int notify_fd; /* of the waiting parent of a daemon in the background; or -1 */
	int lock_fd;
	int stderr_fd;                 /* of the daemons; -1: ours */
	char state[CONF_PATH_MAX + 1]; /* absolute; our working directory */
	uint64_t generation;
	int was_ready;
	int64_t started_s;
	int status; /* exit status */

	struct child children[SUITE_CHILDREN_MAX];
	size_t n_children;
	struct listener listeners[SUITE_LISTENERS_MAX];
	size_t n_listeners;

	struct ctl_server *ctl;
	struct channel *log;

	int stopping;
	int stop_phase;
	struct event *ev_stop;
	struct ctl *stop_ctl; /* that asked for it */

	struct ctl *reload_ctl;
	struct event *ev_reload;
};

/* start.c. All: 0, or -1 with the sentence in err. */
/* Makes it, with all below, and makes it the working directory. */
int start_state_directory(struct suite *, char *err, size_t cap);
int start_try_uids(const struct conf *, char *err, size_t cap);
int start_lock(struct suite *, char *err, size_t cap);
int start_find_daemons(const struct suite *, char *err, size_t cap);
/* The uid (and gid) of a role; root's for fifed and mboxd. */
uid_t start_uid(const struct conf *, enum role);

/* child.c */
int child_add_all(struct suite *);
void child_start_all(struct suite *);
/* After a reload: those that the configuration wants now and did not before. One that it
 * wants no more ends by itself. */
void child_start_wanted(struct suite *);
/* Does the configuration want it? scand only where mail is scanned. */
int child_wanted(const struct child *);
void child_reap(struct suite *);
void child_kill(struct child *);
struct child *child_find(struct suite *, enum role, uint32_t instance);
/* Ready as to the present configuration: all, or all but those at fault. */
int child_all_ready(const struct suite *);

/* graph.c */
/* Channels between this child and every neighbour that runs. */
void graph_connect(struct suite *, struct child *);
void graph_peer_broken(
    struct suite *, struct child *from, const struct msg_peer_broken *);

/* output.c: 0 or -1 with errno. */
int output_open(struct suite *);

/* listen.c */
/* Open what conf wants, keep what is open already, into *list (room for
 * SUITE_LISTENERS_MAX); nothing of the suite's own list changes before
 * listen_adopt(). */
int listen_open(const struct suite *, const struct conf *, struct listener *list,
    size_t *n, char *err, size_t cap);
void listen_adopt(struct suite *, const struct listener *list, size_t n);
/* Close those of list that are not the suite's. */
void listen_discard(const struct suite *, const struct listener *list, size_t n);
/* A listening local socket at path below the state directory. */
int listen_local(const char *path, mode_t mode);

/* conf_send.c */
/* A round from CONF to the last part; START is the caller's. */
void conf_send(struct suite *, struct child *);

/* socket.c: a daemon wants a connection to a socket of another program */
void socket_connect(const struct suite *, struct channel *, const struct msg *);

/* counts.c: what the processes of smtpd count together */
void counts_open(uint32_t workers);
void counts_send(struct child *);
void counts_wipe(uint32_t instance); /* that one is gone */

/* site.c: of that configuration, all of them checked. 0, or -1 with the sentence. */
int site_open(const struct conf *, struct site_scripts *, char *err, size_t cap);
void site_close(struct site_scripts *);

/* reload.c */
void reload(struct suite *, struct ctl *); /* ctl: who waits, or NULL */
void reload_ready(struct suite *);         /* a child has said READY, or died */

/* stop.c */
void stop_begin(struct suite *, struct ctl *);
void stop_progress(struct suite *); /* a child has gone */

/* status.c */
extern const struct ctl_command fifed_commands[];
void status_ready(struct suite *); /* a child has said READY */
extern struct suite *fifed;        /* for the commands */

#endif
