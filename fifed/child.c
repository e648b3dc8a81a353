/* SPDX-License-Identifier: ISC */
/*
 * The daemons: fork and exec with descriptor 3 as the channel and nothing else,
 * their deaths, and their return. A fallen daemon comes back after 50 ms; only one
 * that dies within a second of being ready waits longer each time.
 */
#include "fifed/internal.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define FIFE_CLANG_ASAN
#endif
#endif

#define CHANNEL_FD 3
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS 30000
#define SETTLED_MS 1000
/* Deaths in a row before any READY that make the first start fail. */
#define EARLY_DEATHS_MAX 3

static void child_message(struct channel *, struct msg *, void *);
static void child_lost(struct channel *, const char *, void *);

struct child *
child_find(struct suite *s, enum role role, uint32_t instance)
{
	for (size_t i = 0; i < s->n_children; i++)
		if (s->children[i].role == role && s->children[i].instance == instance)
			return &s->children[i];
	return NULL;
}

int
child_wanted(const struct child *c)
{
	return c->role != ROLE_SCAND || c->suite->conf->filter.antivirus;
}

int
child_all_ready(const struct suite *s)
{
	for (size_t i = 0; i < s->n_children; i++)
		if (child_wanted(&s->children[i]) && !s->children[i].ready)
			return 0;
	return 1;
}

static void
log_channel_lost(struct channel *ch, const char *why, void *arg)
{
	struct suite *s = arg;

	log_set_channel(NULL);
	s->log = NULL;
}

static void
log_channel_message(struct channel *ch, struct msg *m, void *arg)
{
	channel_break(ch, "logd does not speak here");
}

/* fifed's own lines go to logd as anybody's. */
static void
connect_own_log(struct suite *s, struct child *logd)
{
	struct msg_channel m = { .role = ROLE_FIFED };
	int p[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == -1) {
		log_warn("socketpair");
		return;
	}
	if (channel_send(logd->ch, MSG_FIFED_ANY_CHANNEL, 0, &m, p[1]) == -1) {
		close(p[0]);
		return;
	}
	if (s->log != NULL) {
		log_set_channel(NULL);
		channel_free(s->log);
	}
	s->log = channel_new(s->base, p[0], ROLE_FIFED, 0, ROLE_LOGD, log_channel_message,
	    log_channel_lost, s);
	if (s->log != NULL)
		log_set_channel(s->log);
	log_set_stderr(s->foreground);
}

/* After fork: only what is safe there. Never returns. */
static void
exec_daemon(const struct suite *s, const struct child *c, int fd)
{
	const char *name = role_name(c->role);
	char path[PATH_MAX];
	char *argv[] = { (char *)name, NULL };
	static char search[] = "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
		    ctype[] = "LC_CTYPE=C.UTF-8";
#if defined(__SANITIZE_ADDRESS__) || defined(FIFE_CLANG_ASAN)
	/* No /proc and no child processes in a cell: leaks are for unit tests. */
	static char asan[] = "ASAN_OPTIONS=detect_leaks=0:symbolize=0";
	char *envp[] = { search, ctype, asan, NULL };
#else
	char *envp[] = { search, ctype, NULL };
#endif
	struct rlimit no_core = { 0, 0 };
	sigset_t none;
	int null;

	snprintf(path, sizeof(path), "%s/%s", s->libexec, name);
	/* Keys are read before the sandbox. */
	(void)setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if ((null = open("/dev/null", O_RDWR)) == -1 || dup2(null, 0) == -1 ||
	    dup2(null, 1) == -1)
		_exit(126);
	if (s->stderr_fd != -1 && dup2(s->stderr_fd, 2) == -1)
		_exit(126);
	if (fd == CHANNEL_FD) {
		if (fcntl(fd, F_SETFD, 0) == -1)
			_exit(126);
	} else if (dup2(fd, CHANNEL_FD) == -1)
		_exit(126);
	compat_closefrom(CHANNEL_FD + 1);
	execve(path, argv, envp);
	_exit(127);
}

static int
spawn(struct suite *s, struct child *c)
{
	int p[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == -1) {
		log_warn("socketpair");
		return -1;
	}
	if ((pid = fork()) == -1) {
		log_warn("fork");
		close(p[0]);
		close(p[1]);
		return -1;
	}
	if (pid == 0)
		exec_daemon(s, c, p[1]);
	close(p[1]);
	c->pid = pid;
	c->ready = 0;
	c->since_s = (int64_t)time(NULL);
	c->ch = channel_new(
	    s->base, p[0], ROLE_FIFED, 0, c->role, child_message, child_lost, c);
	if (c->ch == NULL) {
		log_warnx("no memory for the channel to %s", c->name);
		kill(pid, SIGKILL);
		return -1;
	}
	return 0;
}

static void
introduce(struct suite *s, struct child *c)
{
	conf_send(s, c);
	if (c->role == ROLE_LOGD)
		connect_own_log(s, c);
	graph_connect(s, c);
}

static void
send_start(struct suite *s, struct child *c)
{
	struct msg_generation g = { s->generation };

	(void)channel_send(c->ch, MSG_FIFED_ANY_START, 0, &g, -1);
}

static void
again_later(struct child *c)
{
	struct timeval tv;

	if (c->backoff_ms == 0)
		c->backoff_ms = BACKOFF_FIRST_MS;
	tv.tv_sec = c->backoff_ms / 1000;
	tv.tv_usec = (suseconds_t)(c->backoff_ms % 1000) * 1000;
	event_add(c->ev_start, &tv);
}

static void
on_start(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	struct suite *s = c->suite;

	if (s->stopping || c->pid != 0 || !child_wanted(c))
		return;
	c->restarts++;
	if (spawn(s, c) == -1) {
		if (c->pid == 0)
			again_later(c);
		return;
	}
	log_info("started %s again, pid %ld", c->name, (long)c->pid);
	introduce(s, c);
	send_start(s, c);
}

static int
add(struct suite *s, enum role role, uint32_t instance)
{
	struct child *c;
	char path[64];

	if (s->n_children == SUITE_CHILDREN_MAX)
		return -1;
	c = &s->children[s->n_children];
	c->suite = s;
	c->role = role;
	c->instance = instance;
	if (instance == 0)
		snprintf(c->name, sizeof(c->name), "%s", role_name(role));
	else
		snprintf(c->name, sizeof(c->name), "%s-%u", role_name(role), instance);
	snprintf(path, sizeof(path), "ctl/%s", c->name);
	if ((c->ctl_fd = listen_local(path, 0600)) == -1)
		fatal("%s/%s", s->state, path);
	if ((c->ev_start = event_new(s->base, -1, 0, on_start, c)) == NULL)
		return -1;
	s->n_children++;
	return 0;
}

/* 0: not a daemon of ours to start, or no role at all. */
static uint32_t
instances(enum role role, uint32_t workers)
{
	if (role == ROLE_MAILBOX || role == ROLE_FIFECTL || role == ROLE_AUTHD_WORKER ||
	    role_by_name(role_name(role)) == ROLE_NONE)
		return 0;
	return role == ROLE_SMTPD ? workers : 1;
}

int
child_add_all(struct suite *s)
{
	uint32_t workers = s->conf->smtpd_workers;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (workers == 0) {
		workers = cpus < 1 ? 1 : (uint32_t)cpus;
		if (workers > CONF_SMTPD_WORKERS_MAX)
			workers = CONF_SMTPD_WORKERS_MAX;
		s->conf->smtpd_workers = workers;
	}
	counts_open(workers);
	/* logd first: what the others say while they start is not lost. */
	for (int role = ROLE_LOGD; role < ROLE_MAX; role++)
		for (uint32_t i = 0; i < instances((enum role)role, workers); i++)
			if (add(s, (enum role)role, i) == -1)
				return -1;
	return 0;
}

void
child_start_all(struct suite *s)
{
	struct child *c;

	for (c = s->children; c < s->children + s->n_children; c++) {
		if (!child_wanted(c))
			continue;
		if (spawn(s, c) == -1)
			fatalx("cannot start %s", c->name);
		introduce(s, c);
	}
	for (c = s->children; c < s->children + s->n_children; c++)
		if (c->ch != NULL)
			send_start(s, c);
}

void
child_start_wanted(struct suite *s)
{
	for (size_t i = 0; i < s->n_children; i++)
		if (s->children[i].pid == 0 && child_wanted(&s->children[i]))
			again_later(&s->children[i]);
}

void
child_kill(struct child *c)
{
	if (c->pid != 0)
		kill(c->pid, SIGKILL);
}

static void
child_message(struct channel *ch, struct msg *m, void *arg)
{
	struct child *c = arg;
	struct suite *s = c->suite;

	switch (m->type) {
	case MSG_ANY_FIFED_READY:
		if (m->p.ready.generation > s->generation) {
			channel_break(ch, "READY to what was never said");
			return;
		}
		c->generation = m->p.ready.generation;
		if (!c->ready) {
			c->ready = 1;
			c->ready_ms = now_ms();
			c->early_deaths = 0;
		}
		status_ready(s);
		reload_ready(s);
		break;
	case MSG_ANY_FIFED_PEER_BROKEN:
		graph_peer_broken(s, c, &m->p.peer_broken);
		break;
	case MSG_RDELIVER_FIFED_CONNECT:
		socket_connect(s, ch, m);
		break;
	default:
		channel_break(ch, "unexpected message");
	}
}

static void
child_lost(struct channel *ch, const char *why, void *arg)
{
	struct child *c = arg;

	c->ch = NULL;
	c->ready = 0;
	if (strcmp(why, "closed") != 0)
		log_warnx("channel to %s: %s", c->name, why);
	/* Whoever has lost us ends by itself; make sure of it. */
	if (!c->suite->stopping)
		child_kill(c);
}

static void
say_how(const struct child *c, pid_t pid, int status, int wanted)
{
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		snprintf(how, sizeof(how), "could not be executed");
	else
		snprintf(how, sizeof(how), "exit status %d", WEXITSTATUS(status));
	if (wanted && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		log_debug("%s (pid %ld) has stopped", c->name, (long)pid);
	else
		log_warnx("%s (pid %ld) is gone: %s", c->name, (long)pid, how);
}

/* Settles when it comes back. */
static void
child_gone(struct suite *s, struct child *c, int status)
{
	pid_t pid = c->pid;
	int was_ready = c->ready || c->ready_ms != 0;
	int settled = was_ready && now_ms() - c->ready_ms >= SETTLED_MS;

	c->pid = 0;
	c->ready = 0;
	c->ready_ms = 0;
	if (c->ch != NULL) {
		channel_free(c->ch);
		c->ch = NULL;
	}
	say_how(c, pid, status, s->stopping || !child_wanted(c));
	if (c->role == ROLE_SMTPD)
		counts_wipe(c->instance);
	if (s->stopping) {
		stop_progress(s);
		return;
	}
	if (!child_wanted(c)) {
		reload_ready(s);
		return;
	}
	if (settled || c->backoff_ms == 0)
		c->backoff_ms = BACKOFF_FIRST_MS;
	else if ((c->backoff_ms *= 2) > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
	if (!was_ready && !s->was_ready && ++c->early_deaths >= EARLY_DEATHS_MAX) {
		log_set_stderr(1);
		log_warnx("%s does not start: giving up", c->name);
		s->status = 1;
		stop_begin(s, NULL);
		return;
	}
	again_later(c);
	reload_ready(s);
}

void
child_reap(struct suite *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < s->n_children; i++)
			if (s->children[i].pid == pid)
				child_gone(s, &s->children[i], status);
}
