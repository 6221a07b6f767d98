/* worker/word.h — what the two ends of a relay (worker/relay.h) tell each other inside the stream of
 * their connection.
 *
 * A word is one byte that has a descriptor beside it: what a client or an application writes never
 * has one, and the kernel ends a read behind such a byte. So a word is heard when all that was
 * written before it has been read, and bytes need no frames. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum lc_word {
    LC_WORD_NONE,
    LC_WORD_GOODBYE, /* all of the answer has been written                            */
    LC_WORD_BACK,    /* the same, and the end that comes along is the origin's again */
};

struct lc_heard {
    enum lc_word word;
    int end; /* with BACK: the other end itself, with what was not read from it; else -1 */
};

/* The descriptor beside it is that of this end. False: it cannot be sent. */
bool lc_word_send(int end, enum lc_word word);

/* As recv(2): the bytes before the word, if one comes. 0 without a word: the end. */
ssize_t lc_word_receive(int end, void *into, size_t room, struct lc_heard *heard);
