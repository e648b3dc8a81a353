/* SPDX-License-Identifier: ISC */
/*
 * scand: libclamav in a cell of its own, since it is the largest parser of hostile
 * bytes in the suite. It scans one message at a time and may die at any: fifed starts
 * another, filterd defers what was in its hands.
 *
 * An engine that does not find the canary, looked for at the start and every minute,
 * calls nothing clean (engine.h tells why).
 */
#include <sys/resource.h>
#include <sys/time.h>

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "scand/engine.h"

#define CANARY_EVERY_S 60
#define TEMP_FILE_LEAST ((rlim_t)512 * 1024 * 1024)

static struct msg_conf_scand conf = { .scan_size_max = 100 * 1024 * 1024,
	.timeout_ms = 120000 };
static struct engine *engine; /* NULL: scanning is off */
static int canary_dead;
static uint64_t n_scanned, n_found, n_errors;
static struct event *ev_canary;

static void
on_conf(struct msg *m)
{
	if (m->type == MSG_FIFED_SCAND_CONF)
		conf = m->p.conf_scand;
}

static int
on_open(void)
{
	/* A temporary file beyond it ends this process: deferred, never called clean. */
	rlim_t largest = conf.scan_size_max < TEMP_FILE_LEAST ? TEMP_FILE_LEAST
							      : conf.scan_size_max * 2;
	struct rlimit fsize = { largest, largest };
	struct engine_settings settings = { .signatures = conf.signatures,
		.prepare_dir = daemon_conf()->root,
		.temp_dir = "/",
		.scan_size_max = conf.scan_size_max,
		.timeout_ms = conf.timeout_ms };

	/* Scanning is off: an engine would only take memory. */
	if (conf.signatures[0] == '\0')
		return 0;
	if ((engine = engine_new(&settings)) == NULL)
		return -1;
	log_info("virus engine ready with %u signatures", engine_signatures(engine));
	(void)setrlimit(RLIMIT_FSIZE, &fsize);
	return 0;
}

static int
canary_sings(void)
{
	char why[256];

	if (engine_canary(engine, why, sizeof(why)))
		return 1;
	log_warnx(
	    "virus engine: the canary was not found (%s): nothing is called clean", why);
	return 0;
}

static void
on_canary(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { CANARY_EVERY_S, 0 };

	canary_dead = !canary_sings();
	event_add(ev_canary, &tv);
}

static void
scan(struct channel *ch, struct msg *m)
{
	struct msg_scanned r = { .status = SCAN_ERROR };
	struct itimerval hard = { .it_value = { conf.timeout_ms / 1000 + 5, 0 } };
	struct itimerval off = { 0 };
	int fd = msg_take_fd(m);

	if (canary_dead)
		canary_dead = !canary_sings();
	if (engine == NULL)
		strlcpy(r.text, "virus scanning is off", sizeof(r.text));
	else if (canary_dead)
		strlcpy(r.text, "the virus engine does not work", sizeof(r.text));
	else {
		/* An engine that hangs is ended by SIGALRM, and with it this process. */
		setitimer(ITIMER_REAL, &hard, NULL);
		r.status = (uint8_t)engine_scan(
		    engine, fd, r.signature, sizeof(r.signature), r.text, sizeof(r.text));
		setitimer(ITIMER_REAL, &off, NULL);
	}
	close(fd);
	n_scanned++;
	n_found += r.status == SCAN_FOUND;
	n_errors += r.status == SCAN_ERROR;
	channel_send(ch, MSG_SCAND_FILTERD_SCANNED, m->id, &r, -1);
}

static int
on_start(void)
{
	if (engine == NULL)
		return 0;
	ev_canary = event_new(daemon_base(), -1, 0, on_canary, NULL);
	if (ev_canary == NULL)
		return -1;
	on_canary(-1, 0, NULL);
	return 0;
}

/* New signatures can only be read outside the cell: end, and be started again.
 * filterd waits for that. */
static void
on_reload(void)
{
	log_info("virus engine: ending to load the signatures again");
	daemon_stopped();
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	if (m->type == MSG_FILTERD_SCAND_SCAN)
		scan(ch, m);
}

static void
cmd_status(struct ctl *ctl, int argc, char **argv)
{
	ctl_row(ctl, CTL_FACTS);
	ctl_u64(ctl, "signatures", engine == NULL ? 0 : engine_signatures(engine));
	ctl_u64(ctl, "scanned", n_scanned);
	ctl_u64(ctl, "found", n_found);
	ctl_u64(ctl, "errors", n_errors);
	if (canary_dead)
		ctl_str(ctl, "degraded", "the virus engine does not work");
	else if (engine != NULL && engine_signatures(engine) == 0)
		ctl_str(ctl, "degraded", "the virus engine has no signatures");
	ctl_row_end(ctl);
	ctl_done(ctl, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, cmd_status },
	{ NULL, 0, 0, NULL },
};

static const struct daemon scand = {
	.role = ROLE_SCAND,
	.conf = on_conf,
	.open = on_open,
	.start = on_start,
	.reload = on_reload,
	.peer_message = on_peer_message,
	.commands = commands,
};

int
main(void)
{
	return daemon_run(&scand);
}
