/* SPDX-License-Identifier: ISC */
/* The process that mailbox processes are forked from; see launcher.h. */
#include "mboxd/launcher.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "mailbox/session.h"

#define LAUNCHER_FD 3
#define CHILD_MBOXD_FD 3
#define CHILDREN_STEP 64
#define RUSH 16
/* Of holes in the heap, in octets; all of them, where another malloc(3) has no top. */
#define LARGE (100 * 1024)
#define SMALL 1040
#define STEP 16
#define HOLES_MAX (512 * 1024)

/* From the launcher. */
struct report {
	uint64_t id;
	int32_t ended; /* 0: started */
	int32_t value; /* pid or -1; status of waitpid(2) */
};

struct child {
	uint64_t id;
	pid_t pid;
};

static int launcher_fd = -1; /* mboxd's end */
static struct event *ev_report;

/* ---- the launcher ---- */

static struct child *children;
static size_t n_children, children_cap;
/* Not sent yet, in their order. */
static struct report *reports;
static size_t n_reports, reports_cap;
static volatile sig_atomic_t child_ended;

static void
child_main(const struct launch *l, int mboxd_fd)
{
	char root[sizeof(l->mailbox) + 1];
	struct mailbox_start start = { .mboxd_fd = CHILD_MBOXD_FD,
		.root = root,
		.name = l->mailbox,
		.hostname = l->hostname,
		.uid = l->uid,
		.linger_s = l->linger_s,
		.sleep_s = l->sleep_s,
		.quota = l->quota,
		.quota_messages = l->quota_messages,
		.quota_hard = l->quota_hard,
		.message_limit = l->message_limit,
		.save_limit = l->save_limit,
		.other_users = l->other_users,
		.debug = l->debug };
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	if (mboxd_fd != CHILD_MBOXD_FD && dup2(mboxd_fd, CHILD_MBOXD_FD) == -1)
		_exit(1);
	compat_closefrom(CHILD_MBOXD_FD + 1);
	fcntl(CHILD_MBOXD_FD, F_SETFD, FD_CLOEXEC);
	setproctitle("-mailbox: %s", l->mailbox);
	snprintf(root, sizeof(root), "/%s", l->mailbox);
	mailbox_main(&start);
}

/* As far as there is room: mboxd may be waiting for us to take a request, and reads none
 * of them meanwhile. */
static void
reports_send(void)
{
	size_t n = 0;

	while (n < n_reports) {
		if (send(LAUNCHER_FD, &reports[n], sizeof(reports[n]),
			MSG_NOSIGNAL | MSG_DONTWAIT) != -1)
			n++;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			_exit(0); /* mboxd is gone, and the others notice it themselves */
	}
	if (n > 0) {
		n_reports -= n;
		memmove(reports, reports + n, n_reports * sizeof(*reports));
	}
}

static void
report(const struct report *r)
{
	if (n_reports == reports_cap) {
		size_t cap = reports_cap + CHILDREN_STEP;
		struct report *p = reallocarray(reports, cap, sizeof(*p));

		if (p == NULL)
			_exit(1);
		reports = p;
		reports_cap = cap;
	}
	reports[n_reports++] = *r;
}

/* Each look at them costs as much as there are children: only when one has ended. */
static void
reap(void)
{
	int status;
	pid_t pid;

	if (!child_ended)
		return;
	child_ended = 0;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < n_children; i++) {
			struct report r = { children[i].id, 1, status };

			if (children[i].pid != pid)
				continue;
			children[i] = children[--n_children];
			report(&r);
			break;
		}
}

static int
launch(const struct launch *l, int fd)
{
	pid_t pid;

	if (n_children == children_cap) {
		size_t cap = children_cap + CHILDREN_STEP;
		struct child *p = reallocarray(children, cap, sizeof(*p));

		if (p == NULL)
			return -1;
		children = p;
		children_cap = cap;
	}
	if ((pid = fork()) == 0) {
		child_main(l, fd);
		_exit(1);
	}
	if (pid > 0)
		children[n_children++] = (struct child){ l->id, pid };
	return pid;
}

/* A request with its descriptor. 0: nothing is there. */
static int
serve(void)
{
	static struct launch l;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { &l, sizeof(l) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct report r = { 0 };
	struct cmsghdr *c;
	int fd = -1;
	ssize_t n = recvmsg(LAUNCHER_FD, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		_exit(0); /* mboxd has ended */
	if ((c = CMSG_FIRSTHDR(&m)) != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (n != (ssize_t)sizeof(l) || fd == -1)
		_exit(1);
	l.mailbox[sizeof(l.mailbox) - 1] = l.hostname[sizeof(l.hostname) - 1] = '\0';
	r.id = l.id;
	r.value = launch(&l, fd);
	close(fd);
	report(&r);
	return 1;
}

static void
on_child(int sig)
{
	child_ended = 1;
}

/*
 * What a child allocates would lie in the holes of this heap, each in a page of its own
 * that is copied for it. They are filled, so that it begins a new page and goes on there.
 */
static void
fill_holes(void)
{
	size_t sizes[4 + SMALL / STEP], n = 0;
	void *p = malloc(LARGE);
	uintptr_t top = (uintptr_t)p;
	size_t filled = 0;

	free(p);
	for (size_t size = LARGE / 4; size > SMALL; size /= 4)
		sizes[n++] = size;
	for (size_t size = SMALL; size >= STEP; size -= STEP)
		sizes[n++] = size - STEP / 2;
	for (size_t i = 0; i < n; i++) {
		while ((p = malloc(sizes[i])) != NULL && (uintptr_t)p < top &&
		       filled < HOLES_MAX)
			filled += sizes[i];
		/* A small one would be kept for the next of its size. */
		if (sizes[i] > SMALL)
			free(p);
	}
}

static void
launcher_main(int fd)
{
	struct sigaction sa = { .sa_handler = on_child };
	static const struct timespec at_once;
	struct pollfd pfd = { LAUNCHER_FD, POLLIN, 0 };
	sigset_t child, none;
	unsigned int n = 0;
	int served;

	log_set_channel(NULL);
	log_set_stderr(0);
	if (fd != LAUNCHER_FD && dup2(fd, LAUNCHER_FD) == -1)
		_exit(1);
	compat_closefrom(LAUNCHER_FD + 1);
	setproctitle("-mboxd: launcher");
	fill_holes();
	compat_trim();
	sigemptyset(&none);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	/* Only while it waits, so that none is missed. */
	if (sigprocmask(SIG_BLOCK, &child, NULL) == -1 ||
	    sigaction(SIGCHLD, &sa, NULL) == -1)
		_exit(1);
	for (;;) {
		reap();
		served = serve();
		reports_send();
		/* Those that end are seen to in a rush of requests, too. The signal is
		 * let in only where nothing is ready that ppoll(2) could return for. */
		if (served) {
			if (++n % RUSH == 0)
				(void)ppoll(NULL, 0, &at_once, &none);
			continue;
		}
		pfd.events = n_reports > 0 ? POLLIN | POLLOUT : POLLIN;
		(void)ppoll(&pfd, 1, NULL, &none);
	}
}

/* ---- mboxd ---- */

static void
on_report(evutil_socket_t fd, short what, void *arg)
{
	struct report r;
	ssize_t n;

	while ((n = recv(launcher_fd, &r, sizeof(r), MSG_DONTWAIT)) == (ssize_t)sizeof(r))
		if (r.ended)
			launcher_ended(r.id, r.value);
		else
			launcher_started(r.id, (pid_t)r.value);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Nobody would wait for the mailbox processes: they end with us. */
	fatalx("the launcher is gone");
}

int
launcher_start(struct event_base *base)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	if ((pid = fork()) == 0) {
		launcher_main(pair[1]);
		_exit(1);
	}
	close(pair[1]);
	launcher_fd = pair[0];
	if (pid == -1)
		return -1;
	ev_report = event_new(base, launcher_fd, EV_READ | EV_PERSIST, on_report, NULL);
	return ev_report == NULL || event_add(ev_report, NULL) == -1 ? -1 : 0;
}

int
launcher_fork(const struct launch *l, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)l, sizeof(*l) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	do
		n = sendmsg(launcher_fd, &m, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	close(fd);
	return n == -1 ? -1 : 0;
}
