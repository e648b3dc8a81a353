/* SPDX-License-Identifier: ISC */
/* What fifectl(8) may ask of fifed, and the word that all is ready. */
#include "fifed/internal.h"

#include <stdio.h>
#include <unistd.h>

#include "common/log.h"

void
status_ready(struct suite *s)
{
	ssize_t n;

	if (s->was_ready || s->stopping || !child_all_ready(s))
		return;
	s->was_ready = 1;
	log_info("ready");
	printf("fife: ready\n");
	fflush(stdout);
	if (s->notify_fd != -1) {
		n = write(s->notify_fd, "", 1);
		(void)n;
		close(s->notify_fd);
		s->notify_fd = -1;
		/* What is said from here on is said to logd. */
		if (freopen("/dev/null", "w", stdout) == NULL ||
		    freopen("/dev/null", "w", stderr) == NULL)
			log_warn("/dev/null");
	}
}

static const char *
state_of(const struct child *c)
{
	if (c->pid == 0 && !child_wanted(c))
		return "off";
	if (c->ready)
		return "ready";
	return c->pid != 0 ? "starting" : "waiting";
}

/* One row a process; "degraded" is what fifectl looks for. */
static void
status(struct ctl *ctl, int argc, char **argv)
{
	const struct suite *s = fifed;

	for (size_t i = 0; i < s->n_children; i++) {
		const struct child *c = &s->children[i];

		ctl_row(ctl, CTL_TABLE);
		ctl_str(ctl, "process", c->name);
		ctl_str(ctl, "state", state_of(c));
		ctl_u64(ctl, "pid", (uint64_t)c->pid);
		ctl_u64(ctl, "uid", start_uid(s->conf, c->role));
		ctl_u64(ctl, "restarts", c->restarts);
		ctl_time(ctl, "since", c->since_s);
		if (!c->ready && s->was_ready && child_wanted(c))
			ctl_str(ctl, "degraded", "does not run");
		ctl_row_end(ctl);
	}
	ctl_done(ctl, CTL_OK, NULL);
}

static void
reload_command(struct ctl *ctl, int argc, char **argv)
{
	reload(fifed, ctl);
}

static void
stop_command(struct ctl *ctl, int argc, char **argv)
{
	log_info("fifectl: stopping");
	stop_begin(fifed, ctl);
}

const struct ctl_command fifed_commands[] = {
	{ "status", 0, 0, status },
	{ "reload", 0, 0, reload_command },
	{ "stop", 0, 0, stop_command },
	{ NULL, 0, 0, NULL },
};
