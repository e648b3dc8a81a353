/* SPDX-License-Identifier: ISC */
/*
 * log and why. A search is a job that does a slice of work each turn of the loop,
 * so that lines go on being written meanwhile, and stops while fifectl has
 * not read what it got.
 *
 *	log: one day, all kinds by time; with -f then waits for new lines.
 *	why: once over the days, newest first, for the queue ids of the lines that
 *	     mention the word; then, oldest first, every line that mentions the word
 *	     or one of these ids. Unless the word is a queue id itself, mail that has
 *	     it only in passing (a bounce of a bounce) is thus found as well.
 */
#include "logd/search.h"

#include <sys/queue.h>

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "logd/explain.h"
#include "logd/files.h"
#include "logd/index.h"
#include "logd/pattern.h"
#include "logd/qids.h"
#include "logd/scan.h"

#define JOBS_MAX 16
#define SLICE_MS 10
#define WHY_OCTETS_MAX (8ull << 30) /* of log, then it ends and says so */
#define WHY_ROWS_MAX 20000
#define FOLLOW_TAIL 2000 /* octets of each kind shown before following */
#define WORD_MAX 1000
#define VALUE_ROOM 4096

enum state {
	COLLECT,
	SHOW,
	FOLLOW
};

struct job {
	LIST_ENTRY(job) entry;
	struct ctl *ctl;
	struct event *ev;
	enum state state;
	int why;
	unsigned int kinds;
	struct pattern *pattern;
	int follow;
	uint64_t unread; /* lines that a slow reader missed */
	uint64_t costly; /* lines at which the expression gave up */
	char *word;
	struct qids qids;
	struct index_query *query; /* of why: the word, then the queue ids too */
	struct scan *scan;
	int32_t day, first, last;
	int32_t oldest; /* day with a mention; last + 1: none */
	uint64_t octets, rows;
	int bounded;
};

static LIST_HEAD(, job) jobs = LIST_HEAD_INITIALIZER(jobs);
static unsigned int n_jobs;

static void step(evutil_socket_t, short, void *);
static void on_line(enum log_kind, const char *, size_t);

unsigned int
search_running(void)
{
	return n_jobs;
}

static void
job_free(struct job *j)
{
	LIST_REMOVE(j, entry);
	n_jobs--;
	if (j->ev != NULL)
		event_free(j->ev);
	scan_free(j->scan);
	index_query_free(j->query);
	pattern_free(j->pattern);
	qids_clear(&j->qids);
	free(j->word);
	free(j);
}

static void
on_gone(struct ctl *c, void *arg)
{
	(void)c;
	job_free(arg);
}

static void
finish(struct job *j)
{
	struct ctl *c = j->ctl;

	if (j->bounded)
		ctl_text(c, "(the search ended at its bound: there may be more)");
	if (j->qids.full)
		ctl_text(
		    c, "(more than %d messages: the rest is not followed)", QIDS_MAX);
	if (j->costly != 0)
		ctl_text(c, "(%" PRIu64 " lines cost the expression too much work)",
		    j->costly);
	if (j->why && j->rows == 0)
		ctl_done(c, CTL_REFUSED, "nothing is known of %s", j->word);
	else
		ctl_done(c, CTL_OK, NULL);
	job_free(j);
}

static void
fail(struct job *j, int status, const char *text)
{
	ctl_done(j->ctl, status, "%s", text);
	job_free(j);
}

static struct job *
job_new(struct ctl *c)
{
	struct job *j;

	if (n_jobs >= JOBS_MAX) {
		ctl_done(c, CTL_TEMPFAIL, "too many searches at the same time");
		return NULL;
	}
	if ((j = calloc(1, sizeof(*j))) == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "no memory");
		return NULL;
	}
	j->ctl = c;
	LIST_INSERT_HEAD(&jobs, j, entry);
	n_jobs++;
	ctl_on_gone(c, on_gone, j);
	if ((j->ev = evtimer_new(daemon_base(), step, j)) == NULL) {
		fail(j, CTL_TEMPFAIL, "no memory");
		return NULL;
	}
	return j;
}

static void
again(struct job *j)
{
	struct timeval tv = { 0, 0 };

	evtimer_add(j->ev, &tv);
}

/* What was said just before has arrived: lines share a write (log.h). */
static void
begin(struct job *j)
{
	struct timeval tv = { 0, 2 * LOG_LAZY_MS * 1000 };

	evtimer_add(j->ev, &tv);
}

static void
on_room(struct ctl *c, void *arg)
{
	(void)c;
	again(arg);
}

/* Keys of the row that a fact must not overwrite. */
static int
reserved(const char *key)
{
	static const char *const names[] = { "time", "kind", "process", "pid", "event",
		"text" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(key, names[i]) == 0)
			return 1;
	return 0;
}

/* As text just the line; as JSON all that is in it. */
static void
send_row(struct job *j, const struct line *l, enum log_kind kind, const char *text)
{
	char value[VALUE_ROOM], key[80], stamp[LINE_STAMP_LEN + 1];
	struct ctl *c = j->ctl;
	struct line_kv kv;
	size_t pos = 0;

	line_stamp(stamp, l->time_us);
	ctl_row(c, CTL_TEXT);
	ctl_str(c, "time", stamp);
	ctl_str(c, "kind", files_kind(kind));
	snprintf(value, sizeof(value), "%.*s", (int)l->name_len, l->name);
	ctl_str(c, "process", value);
	ctl_u64(c, "pid", l->pid);
	if (l->event_len != 0) {
		snprintf(value, sizeof(value), "%.*s", (int)l->event_len, l->event);
		ctl_str(c, "event", value);
	}
	ctl_str(c, "text", text);
	while (line_kv_next(l, &pos, &kv)) {
		snprintf(key, sizeof(key), "%.*s",
		    (int)(kv.key_len < 60 ? kv.key_len : 60), kv.key);
		if (reserved(key))
			strlcat(key, "_", sizeof(key));
		line_value(&kv, value, sizeof(value));
		ctl_str(c, key, value);
	}
	ctl_row_end(c);
	j->rows++;
}

static int
matches(struct job *j, const char *line, size_t len)
{
	int r;

	if (j->pattern == NULL)
		return 1;
	r = pattern_match(j->pattern, line, len);
	j->costly += r == -1;
	return r == 1;
}

/* The whole line: text, the stamp before it and all between are one piece. */
static void
show_log_line(struct job *j, const struct line *l, enum log_kind kind)
{
	const char *start = l->name - LINE_STAMP_LEN - 1;
	size_t len = (size_t)(l->text + l->text_len - start);
	char text[LINE_OCTETS_MAX];

	if (!matches(j, start, len))
		return;
	strlcpy(text, start, len < sizeof(text) ? len + 1 : sizeof(text));
	send_row(j, l, kind, text);
}

static void
show_why_line(struct job *j, const struct line *l, enum log_kind kind)
{
	char text[LINE_OCTETS_MAX], stamp[LINE_STAMP_LEN + 1];
	int n;

	line_stamp(stamp, l->time_us);
	n = snprintf(text, 1024, "%.10s %.8sZ %.*s ", stamp, stamp + 11,
	    (int)(l->name_len < 600 ? l->name_len : 600), l->name);
	explain_line(l, text + n, sizeof(text) - (size_t)n);
	send_row(j, l, kind, text);
}

/* What is new goes to those who follow; one who does not read misses lines. */
static void
on_line(enum log_kind kind, const char *text, size_t len)
{
	static int busy; /* sending may log a line of our own */
	struct job *j;
	struct line l;

	if (busy || LIST_EMPTY(&jobs) || line_parse(text, len, &l) == -1)
		return;
	busy = 1;
	LIST_FOREACH (j, &jobs, entry) {
		if (j->state != FOLLOW || !(j->kinds & 1u << kind))
			continue;
		if (ctl_full(j->ctl)) {
			j->unread++;
			continue;
		}
		if (j->unread != 0)
			ctl_text(j->ctl,
			    "(%" PRIu64 " lines left out: you read too slowly)",
			    j->unread);
		j->unread = 0;
		show_log_line(j, &l, kind);
	}
	busy = 0;
}

static void
take_line(struct job *j, const struct line *l, enum log_kind kind)
{
	if (!j->why) {
		show_log_line(j, l, kind);
		return;
	}
	if (j->state == COLLECT) {
		if (line_mentions(l, j->word)) {
			qids_collect(&j->qids, l);
			if (j->day < j->oldest)
				j->oldest = j->day;
		}
	} else if (line_mentions(l, j->word) || qids_in_line(&j->qids, l))
		show_why_line(j, l, kind);
}

/* What to show is known: look for the messages that were found as well. */
static int
want_qids(struct job *j)
{
	for (size_t i = 0; i < j->qids.n; i++)
		if (index_query_add(j->query, j->qids.ids[i]) == -1)
			return -1;
	return 0;
}

/* The files of j->day are read. 1: there is another day; 0: the job is over; -1: it
 * failed. */
static int
next_day(struct job *j)
{
	j->octets += scan_octets(j->scan);
	scan_free(j->scan);
	j->scan = NULL;
	if (!j->why) {
		if (!j->follow)
			return 0;
		j->state = FOLLOW;
		return 1;
	}
	if (j->state == COLLECT) {
		if (j->octets > WHY_OCTETS_MAX / 2) {
			j->bounded = 1;
			j->first = j->day;
		}
		if (--j->day >= j->first)
			return 1;
		if (j->oldest > j->last)
			return 0;
		/* A message may be older than the first line that has the word. */
		j->state = SHOW;
		j->day = j->first;
		return want_qids(j) == -1 ? -1 : 1;
	}
	return ++j->day <= j->last;
}

/* One line, or the change to the next day. 1: go on; 0: the job is no longer here. */
static int
step_once(struct job *j)
{
	enum log_kind kind;
	struct line l;
	int r;

	if (j->scan == NULL) {
		files_flush();
		j->scan =
		    scan_new(j->kinds, j->day, j->follow ? FOLLOW_TAIL : 0, j->query);
		if (j->scan == NULL) {
			fail(j, CTL_TEMPFAIL, "no memory");
			return 0;
		}
	}
	if ((r = scan_next(j->scan, &l, &kind)) == 0) {
		/* lines that came meanwhile, before the step to FOLLOW */
		files_flush();
		r = scan_next(j->scan, &l, &kind);
	}
	if (r == 1)
		take_line(j, &l, kind);
	if (r != 0)
		return 1;
	if ((r = next_day(j)) == 0)
		finish(j);
	else if (r == -1)
		fail(j, CTL_TEMPFAIL, "no memory");
	else if (j->state == FOLLOW)
		files_on_line(on_line);
	return r == 1 && j->state != FOLLOW;
}

static void
step(evutil_socket_t fd, short what, void *arg)
{
	struct job *j = arg;
	uint64_t end = now_ms() + SLICE_MS;

	do {
		if (ctl_full(j->ctl)) {
			ctl_on_room(j->ctl, on_room, j);
			return;
		}
		if (j->rows >= WHY_ROWS_MAX && j->why) {
			j->bounded = 1;
			finish(j);
			return;
		}
		if (!step_once(j))
			return;
	} while (now_ms() < end);
	again(j);
}

static int
kind_by_name(const char *name)
{
	for (int k = 0; files_kind((size_t)k) != NULL; k++)
		if (strcmp(files_kind((size_t)k), name) == 0)
			return k;
	return -1;
}

static int
parse_day(const char *s, int32_t *day)
{
	int32_t today = (int32_t)(wall_s() / 86400);

	if (strcmp(s, "today") == 0)
		*day = today;
	else if (strcmp(s, "yesterday") == 0)
		*day = today - 1;
	else
		return day_parse(s, strlen(s), day);
	return 0;
}

void
search_log(struct ctl *c, int argc, char **argv)
{
	char err[200];
	struct job *j = job_new(c);
	int k;

	if (j == NULL)
		return;
	j->state = SHOW;
	j->day = (int32_t)(wall_s() / 86400);
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-f") == 0)
			j->follow = 1;
		else if (strcmp(argv[i], "--day") == 0 && i + 1 < argc) {
			if (parse_day(argv[++i], &j->day) == -1) {
				fail(j, CTL_USAGE,
				    "--day: want a day like 2026-11-24, today or "
				    "yesterday");
				return;
			}
		} else if (strcmp(argv[i], "--match") == 0 && i + 1 < argc &&
			   j->pattern == NULL) {
			if ((j->pattern = pattern_new(argv[++i], err, sizeof(err))) ==
			    NULL) {
				fail(j, CTL_USAGE, err);
				return;
			}
		} else if ((k = kind_by_name(argv[i])) != -1)
			j->kinds |= 1u << k;
		else {
			fail(j, CTL_USAGE,
			    "log [host|smtp|delivery|filter|login] [--day D] [--match "
			    "RE] [-f]");
			return;
		}
	}
	if (j->kinds == 0)
		j->kinds = SCAN_ALL;
	begin(j);
}

void
search_why(struct ctl *c, int argc, char **argv)
{
	struct job *j = job_new(c);
	const char *word = argv[0];
	size_t len = strlen(word);

	if (j == NULL)
		return;
	if (len >= 2 && word[0] == '<' && word[len - 1] == '>') {
		word++;
		len -= 2;
	}
	if (len == 0 || len > WORD_MAX) {
		fail(j, CTL_USAGE, "why: want an address, a Message-ID or a queue id");
		return;
	}
	if ((j->word = strndup(word, len)) == NULL ||
	    (j->query = index_query_new()) == NULL ||
	    index_query_add(j->query, j->word) == -1) {
		fail(j, CTL_TEMPFAIL, "no memory");
		return;
	}
	j->why = 1;
	j->kinds = SCAN_ALL;
	j->state = COLLECT;
	files_flush();
	if (files_days(&j->first, &j->last) == -1) {
		j->day = j->first = j->last = 0;
	}
	j->oldest = j->last + 1;
	j->day = j->last;
	begin(j);
}
