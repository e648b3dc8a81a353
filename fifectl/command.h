/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FIFECTL_COMMAND_H
#define FIFE_FIFECTL_COMMAND_H

#include <sys/types.h>

#include "fifectl/render.h"

struct event_base;
struct conf;

/* What every command of fifectl has at hand. */
struct context {
	struct event_base *base;
	const char *conf_path; /* absolute where it exists */
	const char *libexec;   /* unless the configuration says otherwise */
	int json;
};

/* All return an exit status. argv starts with the command's own first word. */
int command_run(struct context *, int argc, char **argv);
int status_run(struct context *, int argc, char **argv);
int check_run(struct context *, int argc, char **argv);
int setup_run(struct context *, int argc, char **argv);
int dns_run(struct context *, int argc, char **argv);
/* queue verify --offline [--repair] */
int offline_run(struct context *, int argc, char **argv);

/* Go to the state directory of the configuration. 0, or an exit status with the
 * sentence printed. */
int command_enter_state(const struct context *);

/* A secret of one line from the terminal (asked twice) or standard input. 0 or
 * -1 with the sentence printed. The caller wipes buf. */
int secret_read(const char *what, char *buf, size_t cap);

/* All of a descriptor as a file of its own, at its start; -1 with errno, EFBIG
 * beyond SPOOL_MAX octets. */
#define SPOOL_MAX (64u * 1024 * 1024)
int spool_input(int from);

/*
 * Standard input or output as a pipe: a process of its own carries the octets, so that
 * the daemon never holds a descriptor of the terminal. start: the daemon's end, which
 * does not block; -1 with errno. end: after the command; -1 when what was to be read or
 * written was not all. A stream with pid -1 was not started.
 */
struct stream {
	pid_t pid;
	int out;
};
int stream_start(struct stream *, int out);
/* The same of what source() writes to fd, in a process of its own: 0, or the sentence has
 * been printed. */
int stream_start_source(struct stream *, int (*source)(int fd, void *), void *arg);
int stream_end(struct stream *);

/*
 * dovecot.c: a Maildir of Dovecot, as the stream that `mailbox import --dovecot` takes:
 * of each folder first dovecot-uidlist and dovecot-keywords, then the messages in order
 * of their UIDs. open: -1 with the sentence printed. The rest is done with the rights of
 * the Maildir's owner.
 */
int dovecot_open(const char *path);
int dovecot_source(int fd, void *maildir); /* int *, from dovecot_open() */

#endif
