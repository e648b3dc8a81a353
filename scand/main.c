/* SPDX-License-Identifier: ISC */
/*
 * scand: libclamav in a cell of its own, since it is the largest parser of hostile
 * bytes in the suite. It scans one message at a time and may die at any: fifed starts
 * another, filterd defers what was in its hands.
 *
 * The engine says "clean" when it cannot write its temporary files, and tells so
 * only through its message callback. So: any error message during a scan makes the
 * result an error, a test file is written before each scan, and a canary that must be
 * found is scanned at the start and every minute.
 */
#include <sys/resource.h>
#include <sys/stat.h>

#include <clamav.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define CANARY_TEXT "fife-canary: this text must always be found by the virus engine"
#define CANARY_NAME "Fife.Canary"
#define CANARY_EVERY_S 60
#define TEMP_FILE_MAX ((uint64_t)512 * 1024 * 1024)

static struct msg_conf_scand conf = { .scan_size_max = 100 * 1024 * 1024, .timeout_ms = 120000 };
static struct cl_engine *engine;
static unsigned int n_signatures;
static int engine_complained;
static char complaint[200];
static int canary_dead;
static uint64_t n_scanned, n_found, n_errors;
static struct event *ev_canary;

static void
on_engine_message(enum cl_msg severity, const char *full, const char *text, void *context)
{
	if (severity != CL_MSG_ERROR)
		return;
	engine_complained = 1;
	strlcpy(complaint, text, sizeof(complaint));
	complaint[strcspn(complaint, "\r\n")] = '\0';
}

static void
on_conf(struct msg *m)
{
	if (m->type == MSG_FIFED_SCAND_CONF)
		conf = m->p.conf_scand;
}

/* The canary's signature is ours, written anew at each start. */
static int
load_canary(const char *root)
{
	char path[PATH_MAX];
	int rc = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/canary.ndb", root);
	unlink(path);
	if ((f = fopen(path, "wx")) == NULL)
		return -1;
	fprintf(f, "%s:0:*:", CANARY_NAME);
	for (const char *p = CANARY_TEXT; *p != '\0'; p++)
		fprintf(f, "%02x", (unsigned char)*p);
	fputc('\n', f);
	if (fclose(f) == 0 && cl_load(path, engine, &n_signatures, CL_DB_STDOPT) == CL_SUCCESS)
		rc = 0;
	unlink(path);
	return rc;
}

static int
set_limits(void)
{
	return cl_engine_set_str(engine, CL_ENGINE_TMPDIR, "/") == CL_SUCCESS &&
		cl_engine_set_num(engine, CL_ENGINE_MAX_SCANSIZE,
		    (long long)conf.scan_size_max * 4) == CL_SUCCESS &&
		cl_engine_set_num(engine, CL_ENGINE_MAX_FILESIZE,
		    (long long)conf.scan_size_max) == CL_SUCCESS &&
		cl_engine_set_num(engine, CL_ENGINE_MAX_SCANTIME, conf.timeout_ms / 2) ==
		    CL_SUCCESS &&
		cl_engine_set_num(engine, CL_ENGINE_MAX_RECURSION, 17) == CL_SUCCESS
	    ? 0
	    : -1;
}

static int
on_open(void)
{
	struct rlimit fsize = { TEMP_FILE_MAX, TEMP_FILE_MAX };
	int rc;

	if ((rc = cl_init(CL_INIT_DEFAULT)) != CL_SUCCESS ||
	    (engine = cl_engine_new()) == NULL) {
		log_warnx("virus engine: %s", cl_strerror(rc));
		return -1;
	}
	cl_set_clcb_msg(on_engine_message);
	if (conf.signatures[0] != '\0' &&
	    (rc = cl_load(conf.signatures, engine, &n_signatures, CL_DB_STDOPT)) != CL_SUCCESS) {
		/* Without signatures the host goes on; status and the log say it. */
		log_warnx("virus signatures in %s: %s", conf.signatures, cl_strerror(rc));
		cl_engine_free(engine);
		n_signatures = 0;
		if ((engine = cl_engine_new()) == NULL)
			return -1;
	}
	if (load_canary(daemon_conf()->root) == -1 || set_limits() == -1 ||
	    (rc = cl_engine_compile(engine)) != CL_SUCCESS) {
		log_warnx("virus engine: cannot be prepared");
		return -1;
	}
	log_info("virus engine ready with %u signatures", n_signatures - 1);
	(void)setrlimit(RLIMIT_FSIZE, &fsize);
	return 0;
}

static enum scan_status
scan_fd(int fd, char *signature, size_t cap, char *why, size_t why_cap)
{
	struct cl_scan_options options = { .parse = ~0u,
		.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX };
	const char *name = NULL;
	unsigned long scanned = 0;
	int rc, test;
	size_t len;

	/* Can it write at all? (see the top of the file) */
	test = open("/.writable", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (test == -1 || write(test, "x", 1) != 1) {
		snprintf(why, why_cap, "no room for temporary files: %s", strerror(errno));
		if (test != -1)
			close(test);
		unlink("/.writable");
		return SCAN_ERROR;
	}
	close(test);
	unlink("/.writable");
	engine_complained = 0;
	options.general = CL_SCAN_GENERAL_HEURISTICS;
	rc = cl_scandesc(fd, "message", &name, &scanned, engine, &options);
	if (rc == CL_VIRUS && name != NULL) {
		static const char tail[] = ".UNOFFICIAL";

		strlcpy(signature, name, cap);
		len = strlen(signature);
		if (len > sizeof(tail) - 1 && strcmp(signature + len - sizeof(tail) + 1, tail) == 0)
			signature[len - sizeof(tail) + 1] = '\0';
		return SCAN_FOUND;
	}
	if (rc != CL_CLEAN) {
		strlcpy(why, cl_strerror(rc), why_cap);
		return SCAN_ERROR;
	}
	if (engine_complained) {
		strlcpy(why, complaint, why_cap);
		return SCAN_ERROR;
	}
	return SCAN_CLEAN;
}

static int
canary_sings(void)
{
	char signature[128] = "", why[256] = "";
	int fd = open("/.canary", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	enum scan_status st = SCAN_ERROR;

	if (fd != -1 && write(fd, CANARY_TEXT, strlen(CANARY_TEXT)) == (ssize_t)strlen(CANARY_TEXT))
		st = scan_fd(fd, signature, sizeof(signature), why, sizeof(why));
	if (fd != -1)
		close(fd);
	unlink("/.canary");
	if (st == SCAN_FOUND && strcmp(signature, CANARY_NAME) == 0)
		return 1;
	log_warnx("virus engine: the canary was not found (%s): nothing is called clean",
	    why[0] != '\0' ? why : "no reason given");
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
	if (canary_dead)
		strlcpy(r.text, "the virus engine does not work", sizeof(r.text));
	else {
		/* An engine that hangs is ended by SIGALRM, and with it this process. */
		setitimer(ITIMER_REAL, &hard, NULL);
		r.status = (uint8_t)scan_fd(
		    fd, r.signature, sizeof(r.signature), r.text, sizeof(r.text));
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
	ctl_u64(ctl, "signatures", n_signatures - 1);
	ctl_u64(ctl, "scanned", n_scanned);
	ctl_u64(ctl, "found", n_found);
	ctl_u64(ctl, "errors", n_errors);
	if (canary_dead)
		ctl_str(ctl, "degraded", "the virus engine does not work");
	else if (n_signatures <= 1)
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
