/* SPDX-License-Identifier: ISC */
/*
 * sendmail(8): what cron, scripts and mail programs call to submit a message; also
 * mailq and newaliases by name. It runs as the user, with no rights of its own: smtpd
 * knows the user by the socket's peer credentials.
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "common/proto/date.h"
#include "sendmail/drop.h"
#include "sendmail/host.h"
#include "sendmail/message.h"
#include "sendmail/submit.h"

enum mode {
	MODE_SUBMIT,
	MODE_QUEUE,
	MODE_SMTP,
	MODE_ALIASES
};

struct options {
	enum mode mode;
	const char *conf;
	const char *sender;
	const char *full_name;
	int ignore_dots;
	int from_header;
	int verbose;
};

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr,
	    "usage: sendmail [-itv] [-C fife.conf] [-F name] [-f sender] [address ...]\n"
	    "       sendmail -bp | -bs\n");
	exit(EX_USAGE);
}

static void
parse_mode(const char *s, struct options *o)
{
	if (strcmp(s, "m") == 0)
		o->mode = MODE_SUBMIT;
	else if (strcmp(s, "p") == 0)
		o->mode = MODE_QUEUE;
	else if (strcmp(s, "s") == 0)
		o->mode = MODE_SMTP;
	else if (strcmp(s, "i") == 0)
		o->mode = MODE_ALIASES;
	else {
		fprintf(
		    stderr, "sendmail: -b%s is not known; fifed(8) is the daemon\n", s);
		exit(EX_USAGE);
	}
}

/* Options that others have and scripts give are taken and passed over. */
static void
parse_options(int argc, char **argv, struct options *o)
{
	const char *name = strrchr(argv[0], '/');
	int c;

	name = name == NULL ? argv[0] : name + 1;
	if (strcmp(name, "mailq") == 0)
		o->mode = MODE_QUEUE;
	else if (strcmp(name, "newaliases") == 0)
		o->mode = MODE_ALIASES;
	while ((c = getopt(argc, argv,
		    "A:B:b:C:cd::e:F:f:Gh:IiL:mN:nO:o:p:q::R:r:TtUV:vX:")) != -1)
		switch (c) {
		case 'b':
			parse_mode(optarg, o);
			break;
		case 'C':
			o->conf = optarg;
			break;
		case 'F':
			o->full_name = optarg;
			break;
		case 'f':
		case 'r':
			o->sender = optarg;
			break;
		case 'I':
			o->mode = MODE_ALIASES;
			break;
		case 'i':
			o->ignore_dots = 1;
			break;
		case 'o':
			if (strcmp(optarg, "i") == 0)
				o->ignore_dots = 1;
			break;
		case 't':
			o->from_header = 1;
			break;
		case 'v':
			o->verbose = 1;
			break;
		case '?':
			usage();
		default:
			break;
		}
}

/* The queue is root's to see: fifectl(8) beside us shows it. */
static int
show_queue(const struct host *h)
{
	char self[PATH_MAX], path[PATH_MAX + 16] = FIFE_PREFIX "/sbin/fifectl", *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		if ((slash = strrchr(self, '/')) != NULL) {
			*slash = '\0';
			snprintf(path, sizeof(path), "%s/fifectl", self);
			if (access(path, X_OK) == -1)
				strlcpy(path, FIFE_PREFIX "/sbin/fifectl", sizeof(path));
		}
	}
	execl(path, "fifectl", "-f", h->conf, "queue", "list", (char *)NULL);
	fprintf(stderr, "mailq: %s: %s\n", path, strerror(errno));
	return EX_UNAVAILABLE;
}

/* The calling user's name as an address, and in words. */
static void
whoami(char *user, size_t user_cap, char *full, size_t full_cap)
{
	struct passwd *pw = getpwuid(getuid());
	struct address a = { .domain = "" };

	*full = '\0';
	if (pw == NULL ||
	    strlcpy(a.local, pw->pw_name, sizeof(a.local)) >= sizeof(a.local) ||
	    address_format(&a, user, user_cap) == -1) {
		snprintf(user, user_cap, "uid%u", (unsigned int)getuid());
		return;
	}
	if (pw->pw_gecos != NULL) {
		strlcpy(full, pw->pw_gecos, full_cap);
		full[strcspn(full, ",")] = '\0';
	}
}

/* -f: an address, with or without <>; "" and "<>" are the null path. 0 or -1. */
static int
sender_from_option(const char *s, char *out, size_t cap)
{
	size_t len = strlen(s);
	struct address a;

	if (len >= 2 && s[0] == '<' && s[len - 1] == '>') {
		s++;
		len -= 2;
	}
	*out = '\0';
	if (len == 0)
		return 0;
	if (address_parse_flags(s, len, ADDRESS_NO_DOMAIN, &a) == -1 ||
	    address_format(&a, out, cap) == -1)
		return -1;
	return 0;
}

static int
read_message(struct message *m)
{
	char buf[65536];
	ssize_t n;
	int r = 1;

	while (r == 1) {
		if ((n = read(STDIN_FILENO, buf, sizeof(buf))) == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		if (n == 0)
			break;
		r = message_read(m, buf, (size_t)n);
	}
	return r == -1 ? -1 : message_read_end(m);
}

static int
give(const struct host *h, struct submit *s, const struct message *m)
{
	switch (submit_message(h, s, m)) {
	case SUBMIT_OK:
		return EX_OK;
	case SUBMIT_REFUSED:
		return strncmp(s->text, "550 5.1.1", 9) == 0 ? EX_NOUSER : EX_UNAVAILABLE;
	default:
		break;
	}
	if (drop_message(h, s, m) == -1) {
		fprintf(stderr,
		    "sendmail: the mail system does not answer, and the message cannot "
		    "be "
		    "kept in %s/spool/drop: %s\n",
		    h->state, strerror(errno));
		return EX_TEMPFAIL;
	}
	fprintf(stderr,
	    "sendmail: the mail system does not take it now%s%s; the message is kept "
	    "and will be sent later\n",
	    s->text[0] == '4' ? ": " : "", s->text[0] == '4' ? s->text : "");
	return EX_TEMPFAIL;
}

static int
submit_one(const struct host *h, const struct options *o, int argc, char **argv,
    struct message *m)
{
	char user[ADDRESS_MAX + 1], full[256], sender[ADDRESS_MAX + 1],
	    from[2 * ADDRESS_MAX];
	struct message_facts facts = { .domain = h->name, .time = time(NULL) };
	struct submit s = { .sender = sender, .verbose = o->verbose };
	int r;

	whoami(user, sizeof(user), full, sizeof(full));
	strlcpy(sender, user, sizeof(sender));
	if (o->sender != NULL &&
	    sender_from_option(o->sender, sender, sizeof(sender)) == -1) {
		fprintf(stderr, "sendmail: -f %s: not an address\n", o->sender);
		return EX_USAGE;
	}
	for (int i = 0; i < argc; i++)
		if (message_add_rcpts(m, argv[i], strlen(argv[i])) == -1) {
			fprintf(stderr, "sendmail: %s: not an address\n", argv[i]);
			return EX_USAGE;
		}
	if (m->nrcpts == 0 && !o->from_header) {
		fprintf(stderr, "sendmail: no recipients\n");
		usage();
	}
	if (read_message(m) == -1) {
		fprintf(stderr, "sendmail: reading the message: %s\n", strerror(errno));
		return errno == EFBIG ? EX_DATAERR : EX_OSERR;
	}
	/* From shows a name that can be answered. */
	snprintf(from, sizeof(from), "%s%s%s", sender[0] != '\0' ? sender : user,
	    strchr(sender[0] != '\0' ? sender : user, '@') == NULL ? "@" : "",
	    strchr(sender[0] != '\0' ? sender : user, '@') == NULL ? h->domain : "");
	facts.sender = from;
	facts.full_name = o->full_name != NULL ? o->full_name : full;
	facts.zone_min = date_local_zone(facts.time);
	arc4random_buf(&facts.unique, sizeof(facts.unique));
	if (message_finish(m, &facts, o->from_header) == -1) {
		fprintf(stderr, "sendmail: %s\n",
		    errno == EINVAL ? "not an address in To, Cc or Bcc"
				    : strerror(errno));
		return errno == EINVAL ? EX_DATAERR : EX_OSERR;
	}
	if (m->nrcpts == 0) {
		fprintf(stderr, "sendmail: no recipients in To, Cc or Bcc\n");
		return EX_USAGE;
	}
	if ((s.rcpt_state = calloc(m->nrcpts, 1)) == NULL)
		return EX_OSERR;
	r = give(h, &s, m);
	free(s.rcpt_state);
	return r;
}

static int
submit(const struct host *h, const struct options *o, int argc, char **argv)
{
	struct message m;
	int r;

	message_init(&m, !o->ignore_dots);
	r = submit_one(h, o, argc, argv, &m);
	message_clear(&m);
	return r;
}

int
main(int argc, char **argv)
{
	struct options o = { .mode = MODE_SUBMIT };
	struct host h;

	parse_options(argc, argv, &o);
	if (host_find(o.conf, &h) == -1) {
		fprintf(
		    stderr, "sendmail: the path of the state directory is too long\n");
		return EX_CONFIG;
	}
	switch (o.mode) {
	case MODE_QUEUE:
		return show_queue(&h);
	case MODE_SMTP:
		return submit_relay(&h);
	case MODE_ALIASES:
		/* Aliases live in the directory and need no rebuilding. */
		return EX_OK;
	default:
		return submit(&h, &o, argc - optind, argv + optind);
	}
}
