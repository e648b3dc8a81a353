/* SPDX-License-Identifier: ISC */
/*
 * fifed(8): the parent of all daemons. Arguments, configuration, the state
 * directory, signals, the loop.
 */
#include "fifed/internal.h"

#include <err.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"

struct suite *fifed;

static void
usage(void)
{
	fprintf(stderr, "usage: fifed [-dn] [-f file] [-L directory]\n");
	exit(2);
}

/*
 * Into the background: the parent stays until the suite is ready, so that rc
 * scripts know. Returns in the child, with the descriptor to tell it.
 */
static int
background(void)
{
	int p[2], status = 0;
	char c;
	pid_t pid;
	ssize_t n;

	if (pipe(p) == -1 || (pid = fork()) == -1)
		err(1, "cannot go to the background");
	if (pid == 0) {
		close(p[0]);
		setsid();
		fcntl(p[1], F_SETFD, FD_CLOEXEC);
		return p[1];
	}
	close(p[1]);
	do
		n = read(p[0], &c, 1);
	while (n == -1 && errno == EINTR);
	if (n == 1)
		_exit(0);
	/* It died; its sentence is on standard error already. */
	waitpid(pid, &status, 0);
	_exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1);
}

static int
has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct suite *s = arg;

	switch (sig) {
	case SIGCHLD:
		child_reap(s);
		break;
	case SIGHUP:
		if (s->on_terminal && !has_terminal()) {
			log_info("the terminal is gone: stopping");
			stop_begin(s, NULL);
		} else
			reload(s, NULL);
		break;
	default:
		log_info("signal %d: stopping", (int)sig);
		stop_begin(s, NULL);
	}
}

static void catch (struct suite *s, int sig)
{
	struct event *ev = evsignal_new(s->base, sig, on_signal, s);

	if (ev == NULL || event_add(ev, NULL) == -1)
		fatalx("cannot catch signals");
}

static void
raise_limits(void)
{
	struct rlimit r;

	/* Two descriptors a channel and the listeners, twice over on a reload. */
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < 4096) {
		r.rlim_cur = r.rlim_max < 4096 ? r.rlim_max : 4096;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void
open_standard(void)
{
	int fd;

	/* No descriptor of ours may become 0, 1 or 2 by accident. */
	do {
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			err(1, "/dev/null");
	} while (fd <= 2);
	close(fd);
}

static void
serve(struct suite *s)
{
	char e[1200];
	int fd;

	if ((s->base = event_base_new()) == NULL)
		fatalx("no event base");
	/* In the foreground the end of the terminal is ours too, unless under nohup. */
	s->on_terminal =
	    s->foreground && signal(SIGHUP, SIG_DFL) != SIG_IGN && has_terminal();
	catch (s, SIGCHLD);
	catch (s, SIGHUP);
	catch (s, SIGINT);
	catch (s, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	if (!s->foreground && output_open(s) == -1)
		fatal("pipe");
	if ((fd = listen_local("ctl/fifed", 0600)) == -1)
		fatal("%s/ctl/fifed", s->state);
	if ((s->ctl = ctl_server_new(s->base, fd, ROLE_FIFED, fifed_commands)) == NULL)
		fatalx("cannot serve ctl/fifed");
	if (listen_open(s, s->conf, s->listeners, &s->n_listeners, e, sizeof(e)) == -1)
		fatalx("%s", e);
	if (child_add_all(s) == -1)
		fatalx("too many daemons");
	child_start_all(s);
	if (event_base_dispatch(s->base) == -1)
		fatalx("event loop failed");
}

int
main(int argc, char **argv)
{
	static struct suite suite = { .notify_fd = -1, .lock_fd = -1, .stderr_fd = -1 };
	struct suite *s = fifed = &suite;
	const char *libexec = NULL, *env = getenv("FIFE_CONF");
	char e[1400], path[PATH_MAX], dir[PATH_MAX];
	int ch, check = 0;

	open_standard();
	s->conf_path = env != NULL && *env != '\0' ? env : FIFE_PREFIX "/etc/fife.conf";
	while ((ch = getopt(argc, argv, "df:L:n")) != -1) {
		switch (ch) {
		case 'd':
			s->foreground = 1;
			break;
		case 'f':
			s->conf_path = optarg;
			break;
		case 'L':
			libexec = optarg;
			break;
		case 'n':
			check = 1;
			break;
		default:
			usage();
		}
	}
	if (argc != optind)
		usage();
	if ((s->conf = conf_load(s->conf_path, e, sizeof(e))) == NULL) {
		fprintf(stderr, "%s\n", e);
		return 1;
	}
	/* From here on we live in the state directory: names become absolute. */
	if (realpath(s->conf_path, path) == NULL)
		err(1, "%s", s->conf_path);
	s->conf_path = path;
	strlcpy(s->conf->file, path, sizeof(s->conf->file));
	if (libexec != NULL) {
		if (realpath(libexec, dir) == NULL ||
		    strlcpy(s->libexec, dir, sizeof(s->libexec)) >= sizeof(s->libexec))
			err(1, "%s", libexec);
	} else if (conf_path(s->conf,
		       s->conf->libexec[0] != '\0' ? s->conf->libexec : FIFE_LIBEXECDIR,
		       s->libexec, sizeof(s->libexec)) == -1)
		errx(1, "%s: path of libexec is too long", s->conf_path);
	if (conf_check_files(s->conf, e, sizeof(e)) == -1 ||
	    site_open(s->conf, &s->site, e, sizeof(e)) == -1 ||
	    start_find_daemons(s, e, sizeof(e)) == -1)
		errx(1, "%s", e);
	if (check) {
		printf("%s: configuration is fine\n", s->conf_path);
		return 0;
	}
	if (geteuid() != 0)
		errx(1, "needs to be started by root");
	umask(022);
	raise_limits();
	if (start_try_uids(s->conf, e, sizeof(e)) == -1 ||
	    start_state_directory(s, e, sizeof(e)) == -1)
		errx(1, "%s", e);
	if (!s->foreground)
		s->notify_fd = background();
	log_init("fifed", s->conf->debug);
	if (start_lock(s, e, sizeof(e)) == -1)
		errx(1, "%s", e);
	s->generation = 1;
	s->started_s = (int64_t)time(NULL);
	serve(s);
	if (s->log != NULL)
		channel_flush(s->log, 200);
	return s->status;
}
