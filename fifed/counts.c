/* SPDX-License-Identifier: ISC */
/* The pages of common/counts.h: made once, handed to every smtpd, wiped after a death. */
#include "common/counts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "fifed/internal.h"

static struct {
	uint64_t secret[2];
	uint32_t n;
	int fds[CONF_SMTPD_WORKERS_MAX][2];
} pages;

/* Without pages each process counts for itself, which is worth a line, not a refusal to
 * start. */
void
counts_open(uint32_t workers)
{
	arc4random_buf(pages.secret, sizeof(pages.secret));
	while (pages.n < workers && pages.n < CONF_SMTPD_WORKERS_MAX) {
		if (compat_shared_create("fife-counts", sizeof(struct counts_page),
			pages.fds[pages.n]) == -1) {
			log_warn("each smtpd counts connections for itself");
			break;
		}
		pages.n++;
	}
}

void
counts_send(struct child *c)
{
	for (uint32_t i = 0; i < pages.n; i++) {
		struct msg_counts m = { i, pages.secret[0], pages.secret[1] };
		int fd =
		    fcntl(pages.fds[i][i == c->instance ? 0 : 1], F_DUPFD_CLOEXEC, 0);

		if (fd == -1)
			log_warn("counts for %s", c->name);
		else
			(void)channel_send(c->ch, MSG_FIFED_SMTPD_COUNTS, 0, &m, fd);
	}
}

void
counts_wipe(uint32_t instance)
{
	static const char zero[4096];
	size_t size = sizeof(struct counts_live);

	if (instance >= pages.n)
		return;
	for (size_t at = 0; at < size; at += sizeof(zero)) {
		size_t n = size - at < sizeof(zero) ? size - at : sizeof(zero);

		if (pwrite(pages.fds[instance][0], zero, n, (off_t)at) != (ssize_t)n) {
			log_warn("cannot wipe the counts of smtpd %u", instance);
			return;
		}
	}
}
