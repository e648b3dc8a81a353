/* SPDX-License-Identifier: ISC */
/* fifectl(8): arguments, and the way to the command. */
#include <event2/event.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "fifectl/command.h"

static void usage(FILE *) __attribute__((noreturn));

static void
usage(FILE *out)
{
	fputs("usage: fifectl [-j] [-f file] command [argument ...]\n"
	      "commands:\n"
	      "  status [--check] | reload | stop | check | setup HOSTNAME | dns DOMAIN\n"
	      "  domain add|del|list DOMAIN | domain set DOMAIN KEY=VALUE ...\n"
	      "  user add|del|list|show|set|rename|passwd|sessions|kick ADDRESS ...\n"
	      "  user apppass add|del|list ADDRESS [NAME [smtp|imap|pop3|sieve]]\n"
	      "  user cert add|del|list ADDRESS [NAME [FINGERPRINT]]\n"
	      "  user rule add ADDRESS FIELD contains TEXT ACTION [ARGUMENT]\n"
	      "  user rule del ADDRESS NUMBER | user rule list ADDRESS\n"
	      "  group add|del|list|show|set NAME [KEY=VALUE ...]\n"
	      "  alias add|del|list ADDRESS [TARGET ...]\n"
	      "  list add|del|list|show|set LIST [owner=ADDRESS] [KEY=VALUE ...]\n"
	      "  list member|owner|poster add|del LIST ADDRESS ... | list import LIST\n"
	      "  list member list LIST [--suspended]\n"
	      "  list suspend|resume LIST ADDRESS ...\n"
	      "  list held [LIST] | list approve|discard ID ...\n"
	      "  list reject ID [REASON] | list unsubscribe --token TOKEN\n"
	      "  route add|del|list|explain DOMAIN [URL [SETTING=VALUE ...]]\n"
	      "  secret add|del|list NAME | policy list | policy remove DOMAIN\n"
	      "  tlsrpt show [DOMAIN] | tlsrpt send [--now] [DOMAIN]\n"
	      "  access list | access ban list|del SUBJECT\n"
	      "  access allow|deny|junk add|del|list SUBJECT [REASON] [--user ADDRESS]\n"
	      "  queue list|retry|hold|release|remove|bounce [ID ...] [--to PATTERN]\n"
	      "      [--from PATTERN] [--state S] [--older T] [--newer T] [--all] "
	      "[--dry-run]\n"
	      "  queue show ID | queue set --priority N ID ... | queue stats\n"
	      "  queue destinations [WORD]\n"
	      "  queue verify [--offline] [--repair] | queue freeze add|del|list\n"
	      "  why ADDRESS|MESSAGE-ID|QUEUE-ID | dump [--secrets] | load\n"
	      "  log [host|smtp|delivery|filter|login] [--day D] [--match RE] [-f]\n"
	      "  sieve list|get|put|check|del|rename|activate ADDRESS [NAME]\n"
	      "  mailbox list|show ADDRESS | filter stats | command list\n"
	      "  mailbox purge ADDRESS [--folder F] [--older T] [--larger SIZE]\n"
	      "      [--from PATTERN] [--flag F] [--unflag F] [--dry-run]\n"
	      "  mailbox reindex ADDRESS | mailbox import ADDRESS [--folder F]\n"
	      "      [--dovecot MAILDIR]\n"
	      "  mailbox export ADDRESS [--folder F] [--mbox]\n"
	      "  mailbox acl ADDRESS [list|set|delete FOLDER WHO RIGHTS]\n"
	      "  resolver lookup|flush|measure NAME | resolver stats|servers|anchors\n",
	    out);
	exit(out == stdout ? CTL_OK : CTL_USAGE);
}

int
main(int argc, char **argv)
{
	const char *env = getenv("FIFE_CONF");
	struct context cx = { .conf_path = FIFE_PREFIX "/etc/fife.conf",
		.libexec = FIFE_LIBEXECDIR };
	static char path[PATH_MAX];
	int ch, status;

	setlocale(LC_TIME, "");
	signal(SIGPIPE, SIG_IGN);
	log_init("fifectl", 0);
	if (env != NULL && *env != '\0')
		cx.conf_path = env;
	while ((ch = getopt(argc, argv, "+f:hj")) != -1) {
		switch (ch) {
		case 'f':
			cx.conf_path = optarg;
			break;
		case 'j':
			cx.json = 1;
			break;
		case 'h':
			usage(stdout);
		default:
			usage(stderr);
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 0)
		usage(stderr);
	if (strcmp(argv[0], "help") == 0)
		usage(stdout);
	/* The state directory becomes the working directory: names absolute first. */
	if (realpath(cx.conf_path, path) != NULL)
		cx.conf_path = path;
	if ((cx.base = event_base_new()) == NULL) {
		fputs("fifectl: no event base\n", stderr);
		return CTL_TEMPFAIL;
	}
	status = command_run(&cx, argc, argv);
	event_base_free(cx.base);
	if (fflush(stdout) == EOF && status == CTL_OK)
		status = CTL_REFUSED;
	return status;
}
