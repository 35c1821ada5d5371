"""Packets to and from the server on the loopback device, with the kernel's time stamps. They wait in the socket's buffer
and are read when the load is over, so that nothing but the kernel works for this while somebody is measured."""
import ctypes
import socket
import struct
import time
from dataclasses import dataclass

from .problem import Unmeasurable

ETH_P_IP = 0x0800
SO_ATTACH_FILTER, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 26, 33, 35
SOL_PACKET, PACKET_STATISTICS = 263, 6
KEPT = 160  # bytes of each packet: the headers and the request line


@dataclass(slots=True)
class Packet:
    at: float  # seconds since the capture began
    to_server: bool
    client_port: int
    payload: bytes


class Capture:
    """TCP segments with a payload, of one port of the server."""

    def __init__(self, port):
        self.port = port
        try:
            # A socket for IP alone gets what comes in, not what goes out: on loopback each packet once.
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        except PermissionError:
            raise Unmeasurable("needs CAP_NET_RAW and CAP_NET_ADMIN to see packets on loopback: run as root") from None
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, tcp_with_payload(port))
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 30)
        except PermissionError:
            self.socket.close()
            raise Unmeasurable("needs CAP_NET_ADMIN for a buffer that holds the packets: run as root") from None
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind(("lo", ETH_P_IP))
        # Stamps are of the wall clock, whose seconds leave a float no room for nanoseconds.
        self.zero = int(time.time())
        # What came between the first line and the filter.
        self.read()
        self.dropped()

    def read(self):
        self.socket.setblocking(False)
        packets = []
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(KEPT, 64)
            except BlockingIOError:
                return packets
            header = (data[0] & 15) * 4
            source, destination = struct.unpack_from("!HH", data, header)
            payload = data[header + (data[header + 12] >> 4) * 4 :]
            (_, _, stamp) = ancillary[0]
            sec, nsec = struct.unpack("qq", stamp)
            to_server = destination == self.port
            packets.append(Packet(sec - self.zero + nsec / 1e9, to_server, source if to_server else destination, payload))

    def dropped(self):
        """Since it was asked last."""
        return struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def finish(self):
        packets, dropped = self.read(), self.dropped()
        self.socket.close()
        if dropped:
            raise Unmeasurable(f"the kernel dropped {dropped} packets of the capture: measure fewer seconds")
        return packets


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction))]


def tcp_with_payload(port):
    """A classic BPF filter over the IP packet, as SO_ATTACH_FILTER takes it."""
    instructions = (Instruction * 16)(
        Instruction(0x30, 0, 0, 9),  # A = IP protocol
        Instruction(0x15, 0, 13, 6),  # TCP?
        Instruction(0xB1, 0, 0, 0),  # X = length of the IP header
        Instruction(0x48, 0, 0, 0),  # A = source port
        Instruction(0x15, 2, 0, port),
        Instruction(0x48, 0, 0, 2),  # A = destination port
        Instruction(0x15, 0, 8, port),
        Instruction(0x50, 0, 0, 12),  # A = TCP data offset, in the upper four bits
        Instruction(0x54, 0, 0, 0xF0),
        Instruction(0x74, 0, 0, 2),  # A = length of the TCP header
        Instruction(0x0C, 0, 0, 0),  # A += X
        Instruction(0x07, 0, 0, 0),  # X = A, the length of both headers
        Instruction(0x28, 0, 0, 2),  # A = length of the IP packet
        Instruction(0x2D, 0, 1, 0),  # longer than its headers?
        Instruction(0x06, 0, 0, KEPT),
        Instruction(0x06, 0, 0, 0),
    )
    program = Program(len(instructions), instructions)
    tcp_with_payload.kept = instructions  # `program` points into it
    return bytes(program)
