// One thread, many connections, requests drawn at random from a file: an HTTP load tool that can
// say afterwards what was answered to what, and when.
//
//   load PORT FILE CONNECTIONS SECONDS CLOSE SEED [RECORD]
//
// FILE holds requests, each behind its length (32 bits, little-endian). SECONDS 0: each of them
// once, in their order. CLOSE 1: a new connection for each request, which the request must ask for
// itself. RECORD: every answer is written there: number of the request, CLOCK_MONOTONIC ns when it
// was sent and when its answer was whole, length, body (u32 u64 u64 u32).
// Prints: requests seconds bad p50 p99 maximum (microseconds); bad is all that is not HTTP 200.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 65536, SLOTS = 2000000 };

struct connection {
    int fd;
    uint32_t request;
    uint64_t sent;
    size_t have;
    char buffer[BUFFER + 1];
};

static const uint8_t *requests;
static uint64_t *offsets;
static uint32_t count, next_once;
static int once, closing, stopped;
static uint64_t random_state, done, bad, begun, until, maximum;
static uint32_t histogram[SLOTS];  // microseconds; the last slot is everything above
static struct sockaddr_in address;
static int poller;
static uint32_t open_connections;
static FILE *record;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t draw(void) {
    if (once) return next_once++;
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state % count);
}

static void drop(struct connection *c) {
    close(c->fd);
    c->fd = -1;
    open_connections--;
}

static int send_next(struct connection *c) {
    if (stopped || (once && next_once >= count)) {
        drop(c);
        return 0;
    }
    c->request = draw();
    c->have = 0;
    c->sent = now_ns();
    const uint8_t *start = requests + offsets[c->request];
    uint32_t length;
    memcpy(&length, start, 4);
    // A request is far smaller than a socket's buffer: it goes out whole or not at all.
    if (write(c->fd, start + 4, length) != (ssize_t)length) {
        bad++;
        drop(c);
    }
    return 1;
}

static void dial(struct connection *c) {
    if (stopped || (once && next_once >= count)) return;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) die("socket");
    // On the loopback this ends at once. Nobody listens: a server that is being started again.
    while (connect(c->fd, (struct sockaddr *)&address, sizeof address)) {
        bad++;
        close(c->fd);
        usleep(10000);
        if (once || now_ns() >= until) {
            stopped = 1;
            return;
        }
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c->fd < 0) die("socket");
    }
    int yes = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
    open_connections++;
    send_next(c);
}

static void finish(struct connection *c, const char *body, uint32_t length) {
    uint64_t now = now_ns(), micros = (now - c->sent) / 1000;
    histogram[micros < SLOTS ? micros : SLOTS - 1]++;
    if (micros > maximum) maximum = micros;
    done++;
    if (memcmp(c->buffer + 8, " 200", 4)) bad++;
    if (record) {
        fwrite(&c->request, 4, 1, record);
        fwrite(&c->sent, 8, 1, record);
        fwrite(&now, 8, 1, record);
        fwrite(&length, 4, 1, record);
        fwrite(body, 1, length, record);
    }
    if (!once && now >= until) stopped = 1;
}

// Returns 1 when a whole answer was there.
static int look(struct connection *c, int ended) {
    c->buffer[c->have] = 0;
    char *body = strstr(c->buffer, "\r\n\r\n");
    if (!body) return 0;
    body += 4;
    char *field = strcasestr(c->buffer, "\ncontent-length:");
    size_t head = (size_t)(body - c->buffer), length = c->have - head;
    if (field && field < body) {
        length = strtoul(field + 16, NULL, 10);
        if (c->have < head + length) return 0;
    } else if (!ended) {
        return 0;
    }
    finish(c, body, (uint32_t)length);
    return 1;
}

static void serve(struct connection *c) {
    ssize_t got = read(c->fd, c->buffer + c->have, BUFFER - c->have);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) c->have += (size_t)got;
    int whole = c->have && look(c, got <= 0);
    if (whole && !closing && got > 0) {
        send_next(c);
    } else if (whole) {
        drop(c);
        dial(c);
    } else if (got <= 0) {
        bad++;
        drop(c);
        dial(c);
    }
}

static uint64_t percentile(double part) {
    uint64_t seen = 0, wanted = (uint64_t)((double)done * part);
    for (uint32_t i = 0; i < SLOTS; i++)
        if ((seen += histogram[i]) > wanted) return i;
    return SLOTS;
}

static void open_requests(const char *path) {
    int fd = open(path, O_RDONLY);
    struct stat info;
    if (fd < 0 || fstat(fd, &info)) die(path);
    requests = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (requests == MAP_FAILED) die("mmap");
    size_t room = 0;
    for (uint64_t at = 0; at < (uint64_t)info.st_size; count++) {
        if (count == room) {
            room = room ? room * 2 : 1024;
            offsets = realloc(offsets, room * sizeof *offsets);
            if (!offsets) die("realloc");
        }
        offsets[count] = at;
        uint32_t length;
        memcpy(&length, requests + at, 4);
        at += 4 + length;
    }
    if (!count) {
        fprintf(stderr, "%s holds no request\n", path);
        exit(1);
    }
}

int main(int words, char **word) {
    if (words < 7) return 2;
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(word[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open_requests(word[2]);
    int connections = atoi(word[3]);
    double seconds = atof(word[4]);
    once = seconds == 0;
    closing = atoi(word[5]);
    random_state = strtoull(word[6], NULL, 10) * 2654435769u + 88172645463325252u;
    if (words > 7 && !(record = fopen(word[7], "wb"))) die(word[7]);
    poller = epoll_create1(0);
    begun = now_ns();
    until = begun + (uint64_t)(seconds * 1e9);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    if (!all) die("calloc");
    for (int i = 0; i < connections; i++) dial(&all[i]);
    struct epoll_event events[256];
    while (open_connections) {
        int found = epoll_wait(poller, events, 256, 5000);
        if (!found) {
            // Nothing for five seconds: what is open is counted as bad, not waited for.
            bad += open_connections;
            break;
        }
        for (int i = 0; i < found; i++) serve(events[i].data.ptr);
    }
    double spent = (double)(now_ns() - begun) / 1e9;
    if (record && fclose(record)) die("record");
    printf("%lu %.6f %lu %lu %lu %lu\n", (unsigned long)done, spent, (unsigned long)bad,
           (unsigned long)percentile(0.5), (unsigned long)percentile(0.99), (unsigned long)maximum);
    return 0;
}
