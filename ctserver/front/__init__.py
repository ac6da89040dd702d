"""The front: a process of its own that receives what visitors' pages ask (`[visitors] listen`), so that a rush of visitors
takes no time from the telephone, and the dashboard need not be where the public can reach it.

It reads requests, turns bots and floods away and tells where a visitor came from; what there is to write it asks of the
server, over a pair of sockets that both have from the start.
"""
