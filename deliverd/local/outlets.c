/* SPDX-License-Identifier: ISC */
/* What scripts send; see outlets.h. */
#include "deliverd/local/outlets.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"

int
outlets_allowed(struct outlets *o, const struct msg_outlet *m, const char *sender)
{
	struct address a;

	if (address_parse(m->address, strlen(m->address), &a) == -1 ||
	    m->size > OUTLETS_SIZE_MAX)
		return 0;
	switch (m->kind) {
	case OUTLET_REDIRECT:
		return o->n_redirects + 1 <= OUTLETS_REDIRECTS_MAX ? ++o->n_redirects > 0
								   : 0;
	case OUTLET_REPLY:
		/* Only to whom the message is from, and never to nobody (RFC 3834, 4). */
		if (sender[0] == '\0' || strcasecmp(m->address, sender) != 0)
			return 0;
		return ++o->n_replies <= 4;
	case OUTLET_NOTICE:
		return 1;
	default:
		return 0;
	}
}

void
outlets_add(struct outlets *o, const struct msg_outlet *m, int fd)
{
	if (o->n == OUTLETS_MESSAGES_MAX) {
		close(fd);
		return;
	}
	o->v[o->n].m = *m;
	o->v[o->n].list = NULL;
	o->v[o->n++].fd = fd;
}

void
outlets_add_post(struct outlets *o, const struct msg_outlet *m, int fd, const char *list)
{
	char *copy = strdup(list);

	if (copy == NULL || o->n == OUTLETS_MESSAGES_MAX) {
		free(copy);
		close(fd);
		o->lost = 1;
		return;
	}
	outlets_add(o, m, fd);
	o->v[o->n - 1].list = copy;
}

int
outlets_send(struct outlets *o, struct channel *queued, uint64_t job, uint32_t rcpt)
{
	if (o->lost)
		return -1;
	for (size_t i = 0; i < o->n; i++) {
		struct msg_job_outlet m = { .job = job,
			.rcpt = rcpt,
			.kind = o->v[i].m.kind,
			.size = o->v[i].m.size };
		int fd = o->v[i].fd;

		strlcpy(m.address, o->v[i].m.address, sizeof(m.address));
		if (o->v[i].list != NULL)
			strlcpy(m.list, o->v[i].list, sizeof(m.list));
		o->v[i].fd = -1;
		if (queued == NULL) {
			close(fd);
			return -1;
		}
		if (channel_send(queued, MSG_LDELIVER_QUEUED_OUTLET, 0, &m, fd) == -1)
			return -1;
	}
	return 0;
}

void
outlets_clear(struct outlets *o)
{
	for (size_t i = 0; i < o->n; i++) {
		if (o->v[i].fd != -1)
			close(o->v[i].fd);
		free(o->v[i].list);
	}
	o->n = 0;
}
