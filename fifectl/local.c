/* SPDX-License-Identifier: ISC */
/* Commands that need no daemon: check, setup, dns. */
#include "fifectl/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/conf/conf.h"
#include "common/conf/conf_int.h"
#include "mailbox/site.h"

int
check_run(struct context *cx, int argc, char **argv)
{
	char err[1400];
	struct conf *c;
	struct render *r;
	uint8_t *scripts = NULL;
	size_t len;
	int ok;

	if (argc != 1) {
		fprintf(stderr, "fifectl: check: too many arguments\n");
		return CTL_USAGE;
	}
	if ((c = conf_load(cx->conf_path, err, sizeof(err))) == NULL ||
	    conf_check_files(c, err, sizeof(err)) == -1 ||
	    site_read(c, &scripts, &len, err, sizeof(err)) == -1) {
		if (cx->json && (r = render_new(stdout, 1)) != NULL) {
			render_words(
			    r, CTL_FACTS, "file", cx->conf_path, "error", err, NULL);
			render_free(r);
		}
		fprintf(stderr, "%s\n", err);
		conf_free(c);
		return CTL_REFUSED;
	}
	if (cx->json && (r = render_new(stdout, 1)) != NULL) {
		render_words(r, CTL_FACTS, "file", cx->conf_path, "error", "", NULL);
		render_free(r);
	}
	free(scripts);
	ok = cx->json || conf_print(c, stdout) == 0;
	conf_free(c);
	return ok ? CTL_OK : CTL_REFUSED;
}

static void
record(struct render *r, const char *name, const char *type, const char *value,
    const char *what)
{
	render_words(
	    r, CTL_TABLE, "name", name, "type", type, "value", value, "what", what, NULL);
}

static void
records(struct render *r, const char *domain, const char *host)
{
	char name[300], value[600];

	snprintf(value, sizeof(value), "10 %s.", host);
	record(r, domain, "MX", value, "mail for the domain comes here");
	snprintf(value, sizeof(value), "\"v=spf1 mx -all\"");
	record(
	    r, domain, "TXT", value, "only its MX hosts send its mail (SPF, RFC 7208)");
	snprintf(name, sizeof(name), "_dmarc.%s", domain);
	snprintf(value, sizeof(value),
	    "\"v=DMARC1; p=quarantine; rua=mailto:postmaster@%s\"", domain);
	record(r, name, "TXT", value, "what to do with forgeries (DMARC, RFC 7489)");
	snprintf(name, sizeof(name), "SELECTOR._domainkey.%s", domain);
	record(r, name, "TXT", "\"v=DKIM1; k=rsa; p=PUBLIC-KEY\"",
	    "once its mail is signed (DKIM, RFC 6376)");
	snprintf(name, sizeof(name), "_submissions._tcp.%s", domain);
	snprintf(value, sizeof(value), "0 1 465 %s.", host);
	record(r, name, "SRV", value, "mail programs find the host (RFC 6186, RFC 8314)");
	snprintf(name, sizeof(name), "_imaps._tcp.%s", domain);
	snprintf(value, sizeof(value), "0 1 993 %s.", host);
	record(r, name, "SRV", value, "the same for IMAP");
}

int
dns_run(struct context *cx, int argc, char **argv)
{
	char err[1400];
	struct conf *c;
	struct render *r;

	if (argc != 2 || !conf_is_host(argv[1])) {
		fprintf(stderr, "usage: fifectl dns DOMAIN\n");
		return CTL_USAGE;
	}
	if ((c = conf_load(cx->conf_path, err, sizeof(err))) == NULL) {
		fprintf(stderr, "fifectl: %s\n", err);
		return CTL_REFUSED;
	}
	if ((r = render_new(stdout, cx->json)) != NULL)
		records(r, argv[1], c->hostname);
	render_free(r);
	conf_free(c);
	return CTL_OK;
}

int
setup_run(struct context *cx, int argc, char **argv)
{
	struct render *r;
	const char *domain;
	char value[600];

	if (argc != 2 || !conf_is_host(argv[1]) || strchr(argv[1], '.') == NULL) {
		fprintf(
		    stderr, "usage: fifectl setup HOSTNAME (such as mail.example.org)\n");
		return CTL_USAGE;
	}
	domain = strchr(argv[1], '.') + 1;
	if (strchr(domain, '.') == NULL)
		domain = argv[1];
	if ((r = render_new(stdout, cx->json)) == NULL)
		return CTL_TEMPFAIL;
	if (!cx->json)
		printf(
		    "# 1. In %s:\n"
		    "hostname %s\n"
		    "postmaster you@%s\n"
		    "listen smtp\n"
		    "listen submission\n"
		    "listen submission tls implicit\n"
		    "listen imap tls implicit\n"
		    "listen local\n"
		    "tls {\n"
		    "    certificate \"/etc/letsencrypt/live/%s/fullchain.pem\"\n"
		    "    key \"/etc/letsencrypt/live/%s/privkey.pem\"\n"
		    "}\n\n"
		    "# 2. Start fifed, then:\n"
		    "fifectl domain add %s\n"
		    "fifectl user add you@%s\n"
		    "fifectl alias add postmaster@%s you@%s\n\n"
		    "# 3. In the DNS, besides the address of %s and its reverse name:\n",
		    cx->conf_path, argv[1], domain, argv[1], argv[1], domain, domain,
		    domain, domain, argv[1]);
	else {
		snprintf(value, sizeof(value), "hostname %s", argv[1]);
		render_words(r, CTL_FACTS, "file", cx->conf_path, "line", value, NULL);
	}
	records(r, domain, argv[1]);
	render_free(r);
	return CTL_OK;
}
