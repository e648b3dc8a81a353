/* SPDX-License-Identifier: ISC */
/* Both sides of authd's password workers; see worker.h. */
#include "authd/worker.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/compat/imsg.h"
#include "common/log.h"
#include "common/sandbox.h"

#define WORKERS_MAX 16
#define PACKET_MAX 4096

enum job_kind {
	JOB_CHECK = 1,
	JOB_CHECK_NOBODY,
	JOB_MAKE_SCRAM,
	JOB_MAKE_CRYPT
};

struct job {
	TAILQ_ENTRY(job) entry;
	enum job_kind kind;
	char plain[PASSWORD_MAX + 1];
	struct password password;
	uint32_t iterations;
	worker_cb cb;
	void *arg;
};

struct worker {
	int fd;
	pid_t pid;
	struct event *ev;
	struct job *job; /* at work on it */
};

static struct worker workers[WORKERS_MAX];
static unsigned int n_workers;
static TAILQ_HEAD(, job) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned int n_waiting;

/* A request: kind, iterations, and four strings of fixed room. */
static int
job_encode(const struct job *j, struct ibuf *b)
{
	return ibuf_add_n8(b, j->kind) == -1 || ibuf_add_n32(b, j->iterations) == -1 ||
		       ibuf_add_strbuf(b, j->plain, sizeof(j->plain)) == -1 ||
		       ibuf_add_strbuf(b, j->password.scram_sha256,
			   sizeof(j->password.scram_sha256)) == -1 ||
		       ibuf_add_strbuf(b, j->password.crypt, sizeof(j->password.crypt)) ==
			   -1
		   ? -1
		   : 0;
}

static int
job_decode(struct ibuf *b, struct job *j)
{
	uint8_t kind;

	if (ibuf_get_n8(b, &kind) == -1 || ibuf_get_n32(b, &j->iterations) == -1 ||
	    ibuf_get_strbuf(b, j->plain, sizeof(j->plain)) == -1 ||
	    ibuf_get_strbuf(
		b, j->password.scram_sha256, sizeof(j->password.scram_sha256)) == -1 ||
	    ibuf_get_strbuf(b, j->password.crypt, sizeof(j->password.crypt)) == -1 ||
	    ibuf_size(b) != 0)
		return -1;
	j->kind = kind;
	return 0;
}

static void
worker_main(int fd)
{
	unsigned char packet[PACKET_MAX];

	compat_wipe_freed();
	for (;;) {
		struct job j = { 0 };
		struct password made = { 0 };
		struct ibuf in, *out;
		int result = -1;
		ssize_t n = recv(fd, packet, sizeof(packet), 0);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		ibuf_from_buffer(&in, packet, (size_t)n);
		if (job_decode(&in, &j) == -1)
			_exit(1);
		switch (j.kind) {
		case JOB_CHECK:
			result = password_check(j.plain, &j.password);
			break;
		case JOB_CHECK_NOBODY:
			password_check_nobody(j.plain, j.iterations);
			result = 0;
			break;
		case JOB_MAKE_SCRAM:
		case JOB_MAKE_CRYPT:
			result = password_make(
			    j.plain, j.kind == JOB_MAKE_SCRAM, j.iterations, &made);
		}
		explicit_bzero(packet, sizeof(packet));
		explicit_bzero(&j, sizeof(j));
		if ((out = ibuf_dynamic(1024, PACKET_MAX)) == NULL ||
		    ibuf_add_n8(out, (uint8_t)(result + 1)) == -1 ||
		    ibuf_add_strbuf(out, made.scram_sha256, sizeof(made.scram_sha256)) ==
			-1 ||
		    ibuf_add_strbuf(out, made.scram_sha1, sizeof(made.scram_sha1)) ==
			-1 ||
		    ibuf_add_strbuf(out, made.crypt, sizeof(made.crypt)) == -1 ||
		    send(fd, ibuf_data(out), ibuf_size(out), MSG_NOSIGNAL) == -1)
			_exit(1);
		ibuf_free(out);
	}
}

int
workers_fork(unsigned int n, const char *root, uid_t uid, gid_t gid)
{
	if (n < 1)
		n = 1;
	if (n > WORKERS_MAX)
		n = WORKERS_MAX;
	for (unsigned int i = 0; i < n; i++) {
		struct sandbox sandbox = { .role = ROLE_AUTHD_WORKER,
			.root = root,
			.uid = uid,
			.gid = gid,
			.files_max = 64 };
		const char *what = "";
		int pair[2];
		pid_t pid;

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1 ||
		    (pid = fork()) == -1) {
			log_warn("worker");
			return -1;
		}
		if (pid != 0) {
			close(pair[1]);
			workers[i].fd = pair[0];
			workers[i].pid = pid;
			n_workers = i + 1;
			continue;
		}
		if (dup2(pair[1], 3) == -1)
			_exit(1);
		compat_closefrom(4);
		if (sandbox_enter(&sandbox, &what) == -1)
			_exit(1);
		worker_main(3);
	}
	return 0;
}

static void
give(struct worker *w)
{
	struct job *j = TAILQ_FIRST(&waiting);
	struct ibuf *b;

	if (j == NULL || w->job != NULL)
		return;
	if ((b = ibuf_dynamic(1024, PACKET_MAX)) == NULL || job_encode(j, b) == -1 ||
	    send(w->fd, ibuf_data(b), ibuf_size(b), MSG_NOSIGNAL) == -1)
		fatal("password worker");
	explicit_bzero(ibuf_data(b), ibuf_size(b));
	ibuf_free(b);
	explicit_bzero(j->plain, sizeof(j->plain));
	TAILQ_REMOVE(&waiting, j, entry);
	n_waiting--;
	w->job = j;
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	unsigned char packet[PACKET_MAX];
	struct password made;
	struct ibuf in;
	struct job *j = w->job;
	uint8_t result;
	ssize_t n = recv(w->fd, packet, sizeof(packet), MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || j == NULL)
		fatalx("password worker %ld is gone", (long)w->pid);
	ibuf_from_buffer(&in, packet, (size_t)n);
	if (ibuf_get_n8(&in, &result) == -1 || result > 2 ||
	    ibuf_get_strbuf(&in, made.scram_sha256, sizeof(made.scram_sha256)) == -1 ||
	    ibuf_get_strbuf(&in, made.scram_sha1, sizeof(made.scram_sha1)) == -1 ||
	    ibuf_get_strbuf(&in, made.crypt, sizeof(made.crypt)) == -1)
		fatalx("password worker %ld speaks nonsense", (long)w->pid);
	w->job = NULL;
	give(w);
	explicit_bzero(packet, sizeof(packet));
	j->cb((int)result - 1, &made, j->arg);
	explicit_bzero(&made, sizeof(made));
	freezero(j, sizeof(*j));
}

int
workers_start(struct event_base *base)
{
	for (unsigned int i = 0; i < n_workers; i++) {
		struct worker *w = &workers[i];

		w->ev = event_new(base, w->fd, EV_READ | EV_PERSIST, on_answer, w);
		if (w->ev == NULL || event_add(w->ev, NULL) == -1)
			return -1;
	}
	return 0;
}

static int
enqueue(enum job_kind kind, const char *plain, const struct password *p,
    uint32_t iterations, worker_cb cb, void *arg)
{
	struct job *j;

	if (n_waiting >= WORKER_QUEUE_MAX || (j = calloc(1, sizeof(*j))) == NULL)
		return -1;
	if (strlcpy(j->plain, plain, sizeof(j->plain)) >= sizeof(j->plain)) {
		freezero(j, sizeof(*j));
		return -1;
	}
	j->kind = kind;
	j->iterations = iterations;
	if (p != NULL)
		j->password = *p;
	j->cb = cb;
	j->arg = arg;
	TAILQ_INSERT_TAIL(&waiting, j, entry);
	n_waiting++;
	for (unsigned int i = 0; i < n_workers; i++)
		give(&workers[i]);
	return 0;
}

int
worker_check(const char *plain, const struct password *p, uint32_t iterations,
    worker_cb cb, void *arg)
{
	return enqueue(
	    p == NULL ? JOB_CHECK_NOBODY : JOB_CHECK, plain, p, iterations, cb, arg);
}

int
worker_make(const char *plain, int scram, uint32_t iterations, worker_cb cb, void *arg)
{
	return enqueue(
	    scram ? JOB_MAKE_SCRAM : JOB_MAKE_CRYPT, plain, NULL, iterations, cb, arg);
}

unsigned int
workers_waiting(void)
{
	return n_waiting;
}
