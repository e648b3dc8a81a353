/* SPDX-License-Identifier: ISC */
/* Sentences and codes for what remote hosts say; see explain.h. */
#include "deliverd/remote/explain.h"

#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"

/* By subject and detail; the class says whether it is for now or for good. */
static const struct {
	const char *code;
	const char *failed;
	const char *deferred;
} sentences[] = {
	{ "1.1",
	    "There is no mailbox with this address: check how it is written, or ask the "
	    "recipient for the right one.",
	    "The remote host cannot say now whether this address exists." },
	{ "1.2", "The domain of this address does not exist: check how it is written.",
	    "The domain of this address cannot be looked up now." },
	{ "1.3", "The remote host does not accept the way this address is written.",
	    NULL },
	{ "1.6", "The recipient has moved: the remote host's words may tell where to.",
	    NULL },
	{ "1.7", "The remote host does not accept the sender's address.",
	    "The remote host cannot verify the sender's address now." },
	{ "1.8", "The remote host does not know the domain of the sender's address.",
	    "The remote host cannot look up the domain of the sender's address now." },
	{ "1.10",
	    "This domain accepts no mail at all: use another address of the recipient.",
	    NULL },
	{ "2.1",
	    "The recipient's mailbox is closed: ask the recipient for another address.",
	    "The recipient's mailbox is closed for now." },
	{ "2.2",
	    "The recipient's mailbox is full: try again when the recipient has made "
	    "room.",
	    "The recipient's mailbox is full." },
	{ "2.3",
	    "The message is too big for the recipient's mailbox: send a smaller one, or "
	    "a link.",
	    NULL },
	{ "3.1", "The remote host has no room for mail.",
	    "The remote host has no room for mail now." },
	{ "3.2", "The remote host takes no mail.",
	    "The remote host is too busy to take mail now." },
	{ "3.4",
	    "The message is too big for the remote host: send a smaller one, or a link.",
	    NULL },
	{ "3.3",
	    "The remote host cannot do what was asked for this message; its words tell "
	    "what.",
	    NULL },
	{ "4.5", NULL, "The remote host is overloaded." },
	{ "4.6",
	    "The message went round in a circle: the mail routing of the recipient's "
	    "domain "
	    "is broken, tell its postmaster.",
	    NULL },
	{ "5.3",
	    "The message has more recipients than the remote host accepts: send it in "
	    "parts.",
	    "The remote host takes the remaining recipients a little later." },
	{ "6.7",
	    "The address has letters beyond ASCII, which the remote host cannot handle: "
	    "use "
	    "another address of the recipient.",
	    NULL },
	{ "7.1", "The remote host refuses this message by its policy.",
	    "The remote host refuses this message for now; many hosts do so at a first "
	    "contact." },
	{ "4.7", "The message could not be delivered in the time that was set for it.",
	    NULL },
	{ "7.10", "The remote host wants a secure connection, and none could be made.",
	    NULL },
	{ "7.17",
	    "The address belongs to somebody else now: ask the recipient for the right "
	    "one.",
	    NULL },
	{ "7.18",
	    "The domain of this address belongs to somebody else now: ask the recipient "
	    "for the right address.",
	    NULL },
	{ "7.19",
	    "The remote host cannot tell whether the address still has the owner that it "
	    "is meant for (RRVS).",
	    NULL },
	{ "7.30",
	    "The message may only go to hosts that promise secure connections all the "
	    "way (REQUIRETLS), and one on its way does not.",
	    NULL },
	{ "7.4", "A secure connection is required to this host, and it offers none.",
	    NULL },
	{ "7.5", "No secure connection could be made to the remote host.",
	    "No secure connection can be made to the remote host now." },
	{ "7.23",
	    "The remote host refuses it because the sender's domain does not permit this "
	    "host to send for it (SPF).",
	    NULL },
	{ "7.25",
	    "The remote host refuses it because this host's name and address do not "
	    "match "
	    "in the DNS.",
	    NULL },
	{ "7.26",
	    "The remote host refuses it because the message is not authenticated by the "
	    "sender's domain (SPF, DKIM, DMARC).",
	    NULL },
};

/* Lists that refusals commonly name. */
static const char *const lists[] = { "spamhaus", "spamcop", "barracuda", "sorbs",
	"uceprotect", "abuseat", "psbl", "mailspike", "invaluement", "spameatingmonkey",
	"spfbl", "nixspam", "backscatterer", "surbl", "uribl", "truncate.gbudb", "dnsbl",
	"rbl" };

static int
speaks_of_list(const char *reply)
{
	static const char *const words[] = { "blacklist", "block list", "blocklist",
		"black list", "blocked using", "listed at", "listed in", "listed by",
		"listed on", "denylist" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(reply, words[i]) != NULL)
			return 1;
	return 0;
}

static const char *
named_list(const char *reply)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcasestr(reply, lists[i]) != NULL)
			return lists[i];
	return NULL;
}

/* The word of the reply around the name: "zen.spamhaus.org". */
static int
word_around(const char *reply, const char *name, char *out, size_t cap)
{
	static const char ok[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	const char *at = strcasestr(reply, name), *start = at;
	size_t n;

	while (start > reply && strchr(ok, start[-1]) != NULL)
		start--;
	n = strspn(start, ok);
	while (n > 0 && (start[n - 1] == '.' || start[n - 1] == '-'))
		n--;
	if (n >= cap)
		return -1;
	memcpy(out, start, n);
	out[n] = '\0';
	return 0;
}

void
explain_reply(const char *enhanced, const char *reply, char *out, size_t cap)
{
	int failed = enhanced[0] == '5';
	const char *rest = strchr(enhanced, '.'), *list = named_list(reply), *s = NULL;
	char word[128];

	if ((list != NULL && (strcmp(list, "rbl") != 0 || speaks_of_list(reply))) ||
	    speaks_of_list(reply)) {
		if (list == NULL || word_around(reply, list, word, sizeof(word)) == -1)
			snprintf(out, cap,
			    "The remote host refuses mail from this host, which is on a "
			    "list of "
			    "senders of unwanted mail: its administrator has to see to "
			    "that.");
		else
			snprintf(out, cap,
			    "The remote host refuses mail from this host, which is on "
			    "the list %s: its "
			    "administrator has to see to that.",
			    word);
		return;
	}
	for (size_t i = 0; rest != NULL && i < sizeof(sentences) / sizeof(sentences[0]);
	     i++)
		if (strcmp(sentences[i].code, rest + 1) == 0)
			s = failed ? sentences[i].failed : sentences[i].deferred;
	if (s == NULL)
		s = failed ? "The remote host refuses the message; its words tell why."
			   : "The remote host does not take the message now; it is tried "
			     "again.";
	strlcpy(out, s, cap);
}

const char *
explain_code(int code, enum reply_stage stage)
{
	switch (code) {
	case 421:
		return "4.3.2";
	case 450:
		return stage == STAGE_RCPT ? "4.2.1" : "4.7.1";
	case 451:
		return "4.3.0";
	case 452:
		return stage == STAGE_RCPT ? "4.5.3" : "4.3.1";
	case 454:
		return "4.7.0";
	case 530:
	case 535:
	case 538:
		return "5.7.0";
	case 550:
		return stage == STAGE_RCPT ? "5.1.1" : "5.7.1";
	case 551:
		return "5.1.6";
	case 552:
		return stage == STAGE_RCPT ? "5.2.2" : "5.3.4";
	case 553:
		return stage == STAGE_MAIL ? "5.1.7" : "5.1.3";
	case 554:
		return stage == STAGE_CONNECT ? "5.3.2"
		       : stage == STAGE_RCPT  ? "5.7.1"
					      : "5.6.0";
	case 521:
		return "5.3.2";
	case 556:
		return "5.1.10";
	default:
		return code >= 500 ? "5.0.0" : code >= 400 ? "4.0.0" : "2.0.0";
	}
}
