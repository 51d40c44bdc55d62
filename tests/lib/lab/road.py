"""The way to a next hop, with what can happen to one: it can be cut, be slow, carry nothing, or lead nowhere."""

import socket
import threading
import time


class Road:
    """Carries TCP connections at `address`:`port` on to `target` (address, port). `opened` counts them."""

    def __init__(self, address, port, target):
        self.where, self.target = (address, port), target
        self.name = f"{address}:{port}"
        self.opened = 0
        self.delay_s = 0
        self._moving = threading.Event()
        self._pairs = set()
        self._listener = None
        self._fillers = []
        self.open()

    # What befalls it. Each undoes the one before.

    def open(self):
        """All is well. What was held up arrives."""
        self.delay_s = 0
        self._moving.set()
        if self._fillers or self._listener is None:
            self._end_listening()
            self._listener = socket.create_server(self.where, backlog=64)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def slow(self, delay_s):
        """Each piece from the hop takes this long."""
        self.open()
        self.delay_s = delay_s

    def cut(self):
        """The hop is dead: connections break, new ones are refused."""
        self._end_listening()
        self._drop_all()
        self._moving.set()

    def silent(self):
        """Connections can be made, and nothing moves over them, nor over those there were."""
        self.open()
        self._moving.clear()

    def nowhere(self):
        """What is sent there is lost without an answer: not even a connection is refused. (A full queue of
        connections that nobody takes makes Linux drop whatever comes.)"""
        self.silent()
        self._end_listening()
        self._listener = socket.create_server(self.where, backlog=0)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.where)
            self._fillers.append(filler)

    def close(self):
        self.cut()

    def _end_listening(self):
        for s in (self._listener, *self._fillers):
            if s is not None:
                shut(s)
        self._listener, self._fillers = None, []

    def _drop_all(self):
        for pair in list(self._pairs):
            for s in pair:
                shut(s)

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.opened += 1
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near):
        try:
            far = socket.create_connection(self.target, timeout=10)
        except OSError:
            shut(near)
            return
        pair = (near, far)
        far.settimeout(None)
        for s in pair:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.add(pair)
        threads = [threading.Thread(target=self._pump, args=a, daemon=True) for a in ((near, far, False), (far, near, True))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self._pairs.discard(pair)
        for s in pair:
            s.close()

    def _pump(self, source, sink, is_back):
        try:
            while data := source.recv(65536):
                if is_back and self.delay_s:
                    time.sleep(self.delay_s)
                self._moving.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            shut(source)
            shut(sink)


def shut(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    s.close()
