/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOG_H
#define FIFE_LOG_H

#include <stddef.h>
#include <stdint.h>

struct channel;

/* One file a day for each kind. */
enum log_kind {
	LOG_HOST,
	LOG_SMTP,
	LOG_DELIVERY,
	LOG_FILTER,
	LOG_LOGIN,
	LOG_KIND_MAX
};
/* Lines wait so long for others to share a write to logd; a warning does not wait. */
#define LOG_LAZY_MS 10

enum log_level {
	LOGL_ERROR,
	LOGL_WARN,
	LOGL_INFO,
	LOGL_DEBUG
};

/*
 * A fact is an event and its values; one line a fact, where it becomes true:
 *
 *	log_fact(LOG_SMTP, LOGL_INFO, "received",
 *	    KS("qid", qid), KS("from", sender), KU("size", size));
 *
 * gives «received qid=… from=<…> size=4096». Values from outside may be put in
 * as they are: controls, quotes and spaces are escaped here. Never log mail,
 * passwords or keys.
 */
struct log_kv {
	const char *key;
	const char *str; /* NULL: use the number */
	uint64_t num;
};
#define KS(k, s)                               \
	{                                      \
		(k), (s) == NULL ? "" : (s), 0 \
	}
#define KU(k, u)                         \
	{                                \
		(k), NULL, (uint64_t)(u) \
	}

#define log_fact(kind, level, event, ...)        \
	log_fact_array((kind), (level), (event), \
	    (const struct log_kv[]){ __VA_ARGS__ __VA_OPT__(, ){ NULL, NULL, 0 } })

void log_fact_array(
    enum log_kind, enum log_level, const char *event, const struct log_kv *);

/*
 * Lines about the host itself (kind LOG_HOST), printf style; the text is
 * escaped too. log_warn adds strerror(errno).
 */
void log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));
/* Say it and exit 1. For start-up and broken invariants only. */
void fatal(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));
void fatalx(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));

/* name: of the process, static storage. What is kept of the process that this one was
 * forked from is forgotten. Until log_set_channel() lines go to
 * standard error. */
void log_init(const char *name, int debug);
/* Lines go to logd from here on; NULL while it is away: lines are then kept
 * up to a bound and dropped (and counted) beyond it. Borrows the channel. */
void log_set_channel(struct channel *);
/* A line is kept since there is no channel: now would be the time to ask for one. */
void log_set_wanted(void (*)(void));
/* What is still kept goes to standard error. For an end without a channel. */
void log_spill(void);
/* logd itself: hand each line to this function instead. */
void log_set_sink(
    void (*)(enum log_kind, enum log_level, int64_t time_us, const char *text));
/* Also repeat errors and warnings on standard error. */
void log_set_stderr(int);

/* Append src to buf (NUL-terminated, room cap) escaped as a value of a fact;
 * returns the new length. Truncates. */
size_t log_escape(char *buf, size_t len, size_t cap, const char *src);

#endif
