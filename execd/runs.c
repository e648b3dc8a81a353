/* SPDX-License-Identifier: ISC */
/* Programs that run, and those that wait; see runs.h. */
#include "execd/runs.h"

#include <sys/queue.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "execd/child.h"
#include "execd/environment.h"
#include "execd/feed.h"
#include "execd/sysexits.h"

#define COMMANDS_MAX 64
#define OUTPUT_MAX 4096
#define OUTPUT_ROUNDS 16 /* reads of one event */
#define WHO_TIMEOUT_MS 30000
#define TERM_MS 3000 /* from the first, polite signal to the last one */
#define STOP_MS 3000
#define MAILBOX_UID_OFFSET 50

struct command {
	struct msg_conf_command m;
	size_t running;
};

enum run_state {
	ASKING,
	WAITING,
	RUNNING
};

struct run {
	TAILQ_ENTRY(run) entry;
	enum run_state state;
	uint64_t channel; /* deliverd-local's, and its question */
	uint64_t id;
	struct msg_exec_run m; /* its prefix is ours */
	uint8_t *prefix;
	int fd;
	uid_t uid; /* of the owner's mailbox; 0: none */
	char mailbox[512];
	struct event *ev_time;
	/* of one that runs: */
	struct msg_conf_command command; /* as it was at the start */
	pid_t pid;
	int in, out;
	struct event *ev_in, *ev_out;
	struct feed *feed;
	char *chunk;
	size_t chunk_len, chunk_at;
	char output[OUTPUT_MAX];
	size_t output_len;
	uint64_t since_ms;
	int timed_out;
};

static struct event_base *base;
static struct event *ev_child;
static struct command commands[COMMANDS_MAX], coming[COMMANDS_MAX];
static size_t n_commands, n_coming;
static TAILQ_HEAD(, run) runs = TAILQ_HEAD_INITIALIZER(runs);
static size_t n_runs;
static struct runs_stats stats;
static void (*stop_done)(void);

static void start_waiting(void);

static struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i].m.name, name) == 0)
			return &commands[i];
	return NULL;
}

/* ---- the end of a run ---- */

static void
pipe_close(int *fd, struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

static void
run_free(struct run *r)
{
	TAILQ_REMOVE(&runs, r, entry);
	n_runs--;
	pipe_close(&r->in, &r->ev_in);
	pipe_close(&r->out, &r->ev_out);
	if (r->ev_time != NULL)
		event_free(r->ev_time);
	if (r->fd != -1)
		close(r->fd);
	free(r->prefix);
	free(r->feed);
	free(r->chunk);
	free(r);
}

/* Answer and forget it. */
static void
run_end(struct run *r, const struct msg_exec_ran *ran)
{
	struct channel *ch = channel_find(r->channel);
	uint64_t ms = r->state == RUNNING ? now_ms() - r->since_ms : 0;

	if (ran->status == JOB_DELIVERED)
		stats.delivered++;
	else if (ran->status == JOB_FAILED)
		stats.failed++;
	else
		stats.deferred++;
	log_fact(LOG_DELIVERY, LOGL_INFO, "command", KS("qid", r->m.qid),
	    KS("to", r->m.recipient), KS("command", r->m.command), KU("uid", r->uid),
	    KS("code", ran->enhanced), KS("text", ran->text), KU("ms", ms));
	if (ch != NULL)
		(void)channel_send(ch, MSG_EXECD_LDELIVER_RAN, r->id, ran, -1);
	run_free(r);
	if (stop_done != NULL && n_runs == 0)
		stop_done();
}

static void __attribute__((format(printf, 3, 4)))
run_defer(struct run *r, const char *enhanced, const char *fmt, ...)
{
	struct msg_exec_ran ran = { .status = JOB_DEFERRED };
	va_list ap;

	strlcpy(ran.enhanced, enhanced, sizeof(ran.enhanced));
	va_start(ap, fmt);
	vsnprintf(ran.text, sizeof(ran.text), fmt, ap);
	va_end(ap);
	run_end(r, &ran);
}

/* ---- one that runs ---- */

static void
read_output(struct run *r)
{
	char waste[OUTPUT_MAX];

	for (int i = 0; i < OUTPUT_ROUNDS && r->out != -1; i++) {
		size_t room = sizeof(r->output) - r->output_len;
		ssize_t n = read(r->out, room > 0 ? r->output + r->output_len : waste,
		    room > 0 ? room : sizeof(waste));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return;
		if (n <= 0) {
			pipe_close(&r->out, &r->ev_out);
			return;
		}
		if (room > 0)
			r->output_len += (size_t)n;
	}
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	read_output(arg);
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;
	ssize_t n;

	if (r->chunk_at == r->chunk_len) {
		ptrdiff_t got = feed_next(r->feed, r->chunk);

		if (got <= 0) {
			/* A message that cannot be read must not look like a short one.
			 */
			if (got == -1) {
				log_warn("%s: the message", r->m.qid);
				/* It may lead no group yet, just started. */
				if (kill(-r->pid, SIGKILL) == -1)
					(void)kill(r->pid, SIGKILL);
			}
			pipe_close(&r->in, &r->ev_in);
			return;
		}
		r->chunk_len = (size_t)got;
		r->chunk_at = 0;
	}
	n = write(r->in, r->chunk + r->chunk_at, r->chunk_len - r->chunk_at);
	if (n > 0)
		r->chunk_at += (size_t)n;
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		pipe_close(&r->in, &r->ev_in); /* it does not want the rest */
}

static void
run_time(struct run *r, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	event_add(r->ev_time, &tv);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	if (r->state != RUNNING) {
		run_defer(r, "4.3.2", "too many programs run now, %s waits for its turn",
		    r->m.command);
		return;
	}
	/* First a word, then the end. */
	kill(-r->pid, r->timed_out ? SIGKILL : SIGTERM);
	if (!r->timed_out)
		stats.timeouts++;
	r->timed_out = 1;
	run_time(r, TERM_MS);
}

static void
run_exited(struct run *r, int status)
{
	struct msg_exec_ran ran;
	struct command *c = command_find(r->m.command);

	stats.running--;
	if (c != NULL && c->running > 0)
		c->running--;
	read_output(r);
	sysexits_judge(r->m.command, status, r->output, r->output_len, &ran);
	/* It may have ended well after the polite signal. */
	if (r->timed_out && ran.status != JOB_DELIVERED) {
		run_defer(r, "4.3.0", "%s did not end within %u seconds", r->m.command,
		    r->command.timeout_s);
	} else
		run_end(r, &ran);
	start_waiting();
}

static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	struct run *r;
	siginfo_t info;
	int status;

	for (;;) {
		/* Not taken away yet: its group is certainly its own still. */
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 ||
		    info.si_pid == 0)
			return;
		/* What it leaves behind goes with it. */
		(void)kill(-info.si_pid, SIGKILL);
		if (waitpid(info.si_pid, &status, WNOHANG) != info.si_pid)
			return;
		TAILQ_FOREACH (r, &runs, entry)
			if (r->state == RUNNING && r->pid == info.si_pid)
				break;
		if (r != NULL)
			run_exited(r, status);
	}
}

static int
open_pipes(struct run *r, int child[2])
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) == -1)
		return -1;
	if (pipe2(out, O_CLOEXEC) == -1) {
		close(in[0]);
		close(in[1]);
		return -1;
	}
	child[0] = in[0];
	r->in = in[1];
	r->out = out[0];
	child[1] = out[1];
	(void)fcntl(r->in, F_SETFL, O_NONBLOCK);
	(void)fcntl(r->out, F_SETFL, O_NONBLOCK);
	return 0;
}

/* The pipes' events; -1: no memory. */
static int
watch_pipes(struct run *r)
{
	r->ev_out = event_new(base, r->out, EV_READ | EV_PERSIST, on_output, r);
	if (r->ev_out == NULL || event_add(r->ev_out, NULL) == -1)
		return -1;
	if (r->command.maildir) {
		pipe_close(&r->in, &r->ev_in);
		return 0;
	}
	r->feed = malloc(sizeof(*r->feed));
	r->chunk = malloc(2 * FEED_ROOM);
	r->ev_in = event_new(base, r->in, EV_WRITE | EV_PERSIST, on_input, r);
	if (r->feed == NULL || r->chunk == NULL || r->ev_in == NULL ||
	    event_add(r->ev_in, NULL) == -1)
		return -1;
	feed_init(r->feed, r->prefix, r->m.prefix_len, r->fd, r->m.size);
	return 0;
}

static void
home_of(const struct run *r, char *buf, size_t cap)
{
	if (r->command.uid != 0)
		strlcpy(buf, r->command.home, cap);
	else
		snprintf(buf, cap, "%s/%s", daemon_conf()->root, r->mailbox);
}

/* -1: it has its answer. */
static int
run_start(struct run *r, struct command *c)
{
	char home[2048];
	struct environment env;
	struct environment_facts facts = {
		.run = &r->m, .user = c->m.uid != 0 ? c->m.user : "", .home = home
	};
	struct child_start s = { .command = &r->command,
		.environment = env.v,
		.home = home,
		.content = r->fd,
		.size = r->m.size,
		.prefix = r->prefix,
		.prefix_len = r->m.prefix_len };
	int child[2], bad;

	r->command = c->m;
	home_of(r, home, sizeof(home));
	s.uid = c->m.uid != 0 ? c->m.uid : r->uid;
	s.gid = c->m.uid != 0 ? c->m.gid : r->uid;
	if (environment_make(&env, &facts) == -1 || open_pipes(r, child) == -1) {
		run_defer(r, "4.3.0", "%s cannot be started now: %s", r->m.command,
		    strerror(errno));
		return -1;
	}
	s.input = child[0];
	s.output = child[1];
	if (!c->m.maildir)
		s.content = -1;
	if ((r->pid = fork()) == 0)
		child_run(&s);
	environment_clear(&env);
	close(child[0]);
	close(child[1]);
	if (r->pid == -1) {
		run_defer(r, "4.3.0", "%s cannot be started now: %s", r->m.command,
		    strerror(errno));
		return -1;
	}
	r->state = RUNNING;
	r->since_ms = now_ms();
	c->running++;
	stats.running++;
	stats.waiting--;
	run_time(r, (uint64_t)c->m.timeout_s * 1000);
	bad = watch_pipes(r);
	if (bad)
		kill(r->pid, SIGKILL); /* its end answers */
	return 0;
}

static void
start_waiting(void)
{
	struct run *r, *next;

	for (r = TAILQ_FIRST(&runs); r != NULL && stats.running < RUNS_AT_ONCE_MAX;
	     r = next) {
		struct command *c;

		next = TAILQ_NEXT(r, entry);
		if (r->state != WAITING)
			continue;
		if ((c = command_find(r->m.command)) == NULL) {
			stats.waiting--;
			run_defer(r, "4.3.5", "there is no command %s in fife.conf",
			    r->m.command);
		} else if (c->running < c->m.concurrency && run_start(r, c) == -1)
			stats.waiting--;
	}
}

/* ---- before ---- */

static int
uid_of_mailbox(uint32_t uid)
{
	const struct msg_conf *c = daemon_conf();

	return uid >= c->uid_first + MAILBOX_UID_OFFSET && uid <= c->uid_last;
}

static void
on_who(struct msg *m, void *arg)
{
	struct run *r = arg;
	const struct command *c = command_find(r->m.command);

	if (m == NULL)
		run_defer(r, "4.3.5", "the directory of users does not answer now");
	else if (m->p.exec_who_is.status != MSG_OK)
		run_defer(r, "4.3.0", "%s: %s", r->m.command, m->p.exec_who_is.text);
	else if (c == NULL)
		run_defer(
		    r, "4.3.5", "there is no command %s in fife.conf", r->m.command);
	else if (c->m.uid == 0 && !uid_of_mailbox(m->p.exec_who_is.uid))
		run_defer(r, "4.3.5",
		    "%s runs as the owner of a mailbox, and %s has none: fife.conf could "
		    "name a user",
		    r->m.command, r->m.owner);
	else {
		r->uid = uid_of_mailbox(m->p.exec_who_is.uid) ? m->p.exec_who_is.uid : 0;
		strlcpy(r->mailbox, m->p.exec_who_is.mailbox, sizeof(r->mailbox));
		r->state = WAITING;
		stats.waiting++;
		run_time(r, RUNS_WAIT_MS);
		start_waiting();
	}
}

void
runs_message(struct channel *ch, struct msg *m)
{
	const struct msg_exec_run *q = &m->p.exec_run;
	struct channel *authd = daemon_peer(ROLE_AUTHD);
	struct msg_exec_who who = { 0 };
	struct msg_exec_ran ran = { .status = JOB_DEFERRED };
	struct run *r = NULL;

	strlcpy(ran.enhanced, "4.3.2", sizeof(ran.enhanced));
	strlcpy(ran.text, "too many programs wait for their turn", sizeof(ran.text));
	if (n_runs >= RUNS_MAX || stop_done != NULL ||
	    (r = calloc(1, sizeof(*r))) == NULL ||
	    (r->prefix = malloc(q->prefix_len + 1)) == NULL ||
	    (r->ev_time = event_new(base, -1, 0, on_time, r)) == NULL) {
		if (r != NULL)
			free(r->prefix);
		free(r);
		(void)channel_send(ch, MSG_EXECD_LDELIVER_RAN, m->id, &ran, -1);
		return;
	}
	r->m = *q;
	memcpy(r->prefix, q->prefix, q->prefix_len);
	r->m.prefix = r->prefix;
	r->channel = channel_serial(ch);
	r->id = m->id;
	r->fd = msg_take_fd(m);
	r->in = r->out = -1;
	TAILQ_INSERT_TAIL(&runs, r, entry);
	n_runs++;
	strlcpy(who.command, q->command, sizeof(who.command));
	strlcpy(who.owner, q->owner, sizeof(who.owner));
	if (authd == NULL || channel_ask(authd, MSG_EXECD_AUTHD_WHO, &who, -1,
				 WHO_TIMEOUT_MS, on_who, r) == 0)
		run_defer(r, "4.3.5", "the directory of users cannot be asked now");
}

/* ---- life ---- */

void
runs_conf_begin(void)
{
	n_coming = 0;
}

void
runs_conf_add(const struct msg_conf_command *m)
{
	if (n_coming < COMMANDS_MAX)
		coming[n_coming++].m = *m;
}

void
runs_conf_end(void)
{
	for (size_t i = 0; i < n_coming; i++) {
		const struct command *c = command_find(coming[i].m.name);

		coming[i].running = c != NULL ? c->running : 0;
	}
	memcpy(commands, coming, sizeof(commands));
	n_commands = n_coming;
	stats.commands = n_commands;
}

int
runs_start(struct event_base *b)
{
	base = b;
	signal(SIGPIPE, SIG_IGN);
	ev_child = event_new(b, SIGCHLD, EV_SIGNAL | EV_PERSIST, on_child, NULL);
	return ev_child == NULL || event_add(ev_child, NULL) == -1 ? -1 : 0;
}

void
runs_stop(void (*done)(void))
{
	struct run *r, *next;

	stop_done = done;
	for (r = TAILQ_FIRST(&runs); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->state == RUNNING)
			run_time(r, STOP_MS);
		else if (r->state == WAITING) {
			stats.waiting--;
			run_defer(r, "4.3.2", "the host is stopping");
		}
	}
	if (n_runs == 0)
		done();
}

void
runs_get_stats(struct runs_stats *s)
{
	*s = stats;
}

void
runs_list(struct ctl *c)
{
	static const char *const states[] = { "asking", "waiting", "running" };
	struct run *r;

	TAILQ_FOREACH (r, &runs, entry) {
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "command", r->m.command);
		ctl_str(c, "state", states[r->state]);
		ctl_str(c, "message", r->m.qid);
		ctl_str(c, "recipient", r->m.recipient);
		ctl_u64(c, "pid", (uint64_t)r->pid);
		ctl_u64(c, "seconds",
		    r->state == RUNNING ? (now_ms() - r->since_ms) / 1000 : 0);
		ctl_row_end(c);
	}
}
