/*
 * What the sender of a bounced message can do, by enhanced status code (RFC 3463)
 * and, where that is too coarse, by the words of the reply.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>
#include <strings.h>

#include "queued/bounce.h"

/* The class digit is left out: a temporary failure that lasted too long has the
 * same remedy. Longest prefix wins. */
static const struct {
	const char *code;
	const char *advice;
} by_code[] = {
	{ "1.1",
	    "There is no mailbox of that name: check the spelling of the part before "
	    "the @, or ask the person for the current address by other means." },
	{ "1.2", "There is no domain of that name: check the spelling of the part after "
		 "the @." },
	{ "1.3", "The address is not well formed: check it for typing errors." },
	{ "1.6", "The mailbox has moved: ask the person for the new address." },
	{ "1.7", "Your own sender address was not accepted as valid: check the address "
		 "that is set in your mail program." },
	{ "1.8", "The domain of your own sender address was not accepted: check the "
		 "address that is set in your mail program, or ask your postmaster." },
	{ "1.10",
	    "That domain takes no mail at all: check the spelling of the part after "
	    "the @." },
	{ "2.0", "The mailbox cannot take mail now: try again later, or reach the person "
		 "by other means." },
	{ "2.1", "The mailbox is closed: reach the person by other means." },
	{ "2.2",
	    "The mailbox is full: try again in some days, or tell the person by other "
	    "means." },
	{ "2.3",
	    "The message is too large for that mailbox: send it in parts or share the "
	    "file by a link." },
	{ "3.1", "The other system has no space left: try again later." },
	{ "3.2", "The other system is busy or does not take mail now: try again later." },
	{ "3.4", "The message is larger than the other system takes: send it in parts or "
		 "share the file by a link." },
	{ "3.3", "The other system cannot do what the message asked for: send it without "
		 "that demand." },
	{ "4.1", "The other system did not answer: check the spelling of the part after "
		 "the @, and try again later." },
	{ "4.2", "The connection to the other system broke off: try again later." },
	{ "4.3", "Looking up the other domain failed: try again later, or check the "
		 "spelling of the part after the @." },
	{ "4.4",
	    "That domain has no mail server: check the spelling of the part after the "
	    "@." },
	{ "4.6", "The message went round in a circle between mail systems: tell the "
		 "recipient's postmaster (or yours) about the forwarding loop." },
	{ "4.7", "It could not be delivered for too long and was given up: send it again "
		 "later, or reach the person by other means." },
	{ "5.3", "The message has too many recipients: send it to fewer at a time." },
	{ "6.0", "The other system could not take the form of the message: send it as "
		 "plain text or with a smaller attachment." },
	{ "6.7", "The other system cannot take addresses with letters beyond ASCII: use "
		 "another address of that person." },
	{ "7.0",
	    "The other system refused the message by its rules: read its words above; "
	    "your postmaster may have to talk to theirs." },
	{ "7.1",
	    "You are not allowed to send to that address: if you should be, log in to "
	    "send, or ask the recipient's postmaster." },
	{ "7.4", "The message asked for encryption that the other system does not offer: "
		 "send it without that demand, or by other means." },
	{ "7.5", "A secure connection to the other system could not be made: your "
		 "postmaster or theirs has to look at the certificates." },
	{ "7.10",
	    "A secure connection, which the message may not go without, could not be "
	    "made: send it without that demand, or by other means." },
	{ "7.17",
	    "The address belongs to somebody else now: ask the person for the current "
	    "address by other means." },
	{ "7.18",
	    "The domain of the address belongs to somebody else now: ask the person "
	    "for the current address by other means." },
	{ "7.19", "Nobody can say whether the address still belongs to the same person: "
		  "ask by other means, then send without that demand." },
	{ "7.30", "The message asked for secure connections all the way, which the other "
		  "system does not promise: send it without that demand, or by other "
		  "means." },
	{ "7.8", "A login was refused: tell your postmaster." },
	{ "7.23",
	    "The message failed the sender policy (SPF) of your domain: send through "
	    "your own provider's server, or ask your postmaster." },
	{ "7.25", "The sending server has no proper name in reverse DNS: tell your "
		  "postmaster." },
	{ "7.26",
	    "The message failed the authentication that its domain demands (DKIM, "
	    "DMARC): send through your own provider's server, or ask your postmaster." },
};

static int
contains(const char *s, const char *word)
{
	size_t n = strlen(word);

	for (; *s != '\0'; s++) {
		if (strncasecmp(s, word, n) == 0)
			return 1;
	}
	return 0;
}

const char *
bounce_advice(const char *enhanced, const char *reply)
{
	static const char *const lists[] = { "spamhaus", "spamcop", "barracuda", "sorbs",
		"blacklist", "blocklist", "black list", "block list", "blocked using",
		"dnsbl", "rbl" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (contains(reply, lists[i]))
			return "The other system refuses mail from this server because "
			       "it "
			       "is on a block list, named in its words above: tell your "
			       "postmaster.";
	}
	if (strlen(enhanced) > 2) {
		for (size_t i = 0; i < sizeof(by_code) / sizeof(by_code[0]); i++) {
			if (strcmp(enhanced + 2, by_code[i].code) == 0)
				return by_code[i].advice;
		}
		if (enhanced[2] == '1')
			return by_code[0].advice;
	}
	return "Read the words of the other system above: if they do not help, show this "
	       "message to your postmaster.";
}
