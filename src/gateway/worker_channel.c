#include "gateway/worker_channel.h"

#include <unistd.h>

#include "base/log.h"
#include "gateway/message.h"

int worker_channel_open(struct mailbox *m, unsigned worker, const char *process)
{
        const struct message_channel word = { worker };
        int pair[2];
        enum err e = mailbox_pair(pair);

        if (e == ERR_OK) {
                e = mailbox_send(m, MESSAGE_CHANNEL, (struct str){ (const char *)&word, sizeof(word) },
                                 &pair[1], 1);
                close(pair[1]);
                if (e == ERR_OK)
                        return pair[0];
                close(pair[0]);
        }
        log_error("channel_not_opened", LOG_C("process", process), LOG_N("worker", worker), LOG_E(e));
        return -1;
}
