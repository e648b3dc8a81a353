/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CTL_H
#define FIFE_CTL_H

/*
 * Commands of fifectl(8) at a daemon. fifectl connects to ctl/NAME below the
 * state directory (root only), sends the words of the command, and gets rows of
 * facts back, which it prints as text or, with -j, as JSON: so both have the
 * same facts. A row is a list of key and value.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/channel.h"

struct ctl; /* one running command of one fifectl */

/* How a row is shown as text: a line of a table (columns are the keys of the
 * first row), "key: value" lines, or the value of "text" alone. */
enum ctl_form {
	CTL_TABLE = 1,
	CTL_FACTS,
	CTL_TEXT
};

struct ctl_command {
	const char *words; /* "queue list"; the longest match wins */
	int min_args;      /* words after these */
	int max_args;      /* -1: any (at most CTL_ARGS_MAX) */
	/*
	 * argv: the words after the matched ones, NULL at the end, valid until
	 * the command is done. Answer with rows, then ctl_done() exactly once, now or
	 * later from the loop.
	 */
	void (*run)(struct ctl *, int argc, char **argv);
};
#define CTL_ARGS_MAX 64

/* Exit statuses of fifectl (DESIGN.md 5). */
#define CTL_OK 0
#define CTL_REFUSED 1
#define CTL_USAGE 2
#define CTL_TEMPFAIL 75

/* Rows: begin, values, end. Long values are cut at 8 KB. */
void ctl_row(struct ctl *, enum ctl_form);
void ctl_str(struct ctl *, const char *key, const char *value);
void ctl_u64(struct ctl *, const char *key, uint64_t value);
void ctl_bool(struct ctl *, const char *key, int value);
/* Seconds since 1970; shown as local time in text, RFC 3339 in JSON. */
void ctl_time(struct ctl *, const char *key, int64_t wall_s);
void ctl_row_end(struct ctl *);
/* A row of form CTL_TEXT, printf style. */
void ctl_text(struct ctl *, const char *, ...) __attribute__((format(printf, 2, 3)));
/* The end of the command; text (may be NULL) is a sentence for a status that is
 * not 0. ctl is dead afterwards. */
void ctl_done(struct ctl *, int status, const char *, ...)
    __attribute__((format(printf, 3, 4)));

/* The secret (password) that came with the command, NULL if none. Wiped with it. */
const char *ctl_secret(struct ctl *);
/* The descriptor that came with the command (standard input of `load`); the
 * caller's from now on; -1 if none. */
int ctl_take_fd(struct ctl *);
/* Called when fifectl goes away before the end (follow mode, long waits). The
 * handler must then forget ctl; ctl_done() is not to be called. */
void ctl_on_gone(struct ctl *, void (*)(struct ctl *, void *), void *arg);
/* Nonzero while too much is unsent: pause a long listing; cb when there is room. */
int ctl_full(struct ctl *);
void ctl_on_room(struct ctl *, void (*)(struct ctl *, void *), void *arg);

/* Used by daemon.c and fifed: serve a listening control socket. self: our role. */
struct ctl_server;
struct ctl_server *ctl_server_new(
    struct event_base *, int listen_fd, enum role self, const struct ctl_command *);
void ctl_server_free(struct ctl_server *);

/* Used by fifectl: walk the fields of a row. Kinds: 's', 'u', 'b', 't'. 1, 0 at
 * the end, -1 malformed. key is NUL-terminated in keybuf. */
int ctl_field_next(struct ibuf *, char *keybuf, size_t keycap, char *kind,
    const char **str, size_t *len, uint64_t *num);

#endif
