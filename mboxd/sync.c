/* SPDX-License-Identifier: ISC */
/* One syncfs for many deliveries; see sync.h. */
#include "mboxd/sync.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"

#define ASKERS_MAX 1024

struct asker {
	uint64_t channel;
	uint64_t request;
};

static struct asker waiting[ASKERS_MAX], served[ASKERS_MAX];
static size_t n_waiting, n_served;
static int running;
static int to_thread[2], from_thread[2];
static int root_fd = -1;

/* The thread: an octet in, syncfs, its errno out. It touches nothing else. */
static void *
thread_main(void *arg)
{
	unsigned char octet;
	int err;

	while (read(to_thread[0], &octet, 1) == 1) {
		err = compat_syncfs(root_fd) == 0 ? 0 : errno;
		if (write(from_thread[1], &err, sizeof(err)) != sizeof(err))
			break;
	}
	return NULL;
}

static void
begin(void)
{
	if (running || n_waiting == 0)
		return;
	memcpy(served, waiting, n_waiting * sizeof(waiting[0]));
	n_served = n_waiting;
	n_waiting = 0;
	running = 1;
	if (write(to_thread[1], "s", 1) != 1)
		fatal("sync thread");
}

static void
on_synced(evutil_socket_t fd, short what, void *arg)
{
	struct msg_status s = { .status = MSG_OK };
	int err;

	if (read(from_thread[0], &err, sizeof(err)) != sizeof(err))
		return;
	if (err != 0) {
		errno = err;
		log_warn("syncfs of the mail root");
		s.status = MSG_TEMP;
	}
	for (size_t i = 0; i < n_served; i++) {
		struct channel *ch = channel_find(served[i].channel);

		if (ch != NULL)
			channel_send(
			    ch, MSG_MBOXD_QUEUED_SYNCED, served[i].request, &s, -1);
	}
	running = 0;
	begin();
}

int
sync_start(struct event_base *base)
{
	struct event *ev;
	pthread_t thread;

	root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd == -1 || pipe2(to_thread, O_CLOEXEC) == -1 ||
	    pipe2(from_thread, O_CLOEXEC) == -1) {
		log_warn("sync thread");
		return -1;
	}
	ev = event_new(base, from_thread[0], EV_READ | EV_PERSIST, on_synced, NULL);
	if (ev == NULL || event_add(ev, NULL) == -1 ||
	    (errno = pthread_create(&thread, NULL, thread_main, NULL)) != 0) {
		log_warn("sync thread");
		return -1;
	}
	return 0;
}

void
sync_ask(struct channel *ch, struct msg *m)
{
	if (n_waiting == ASKERS_MAX) {
		struct msg_status s = { .status = MSG_TEMP };

		channel_send(ch, MSG_MBOXD_QUEUED_SYNCED, m->id, &s, -1);
		return;
	}
	waiting[n_waiting].channel = channel_serial(ch);
	waiting[n_waiting].request = m->id;
	n_waiting++;
	begin();
}
