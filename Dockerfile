# Two images from one file:
#     docker build -t ctserver .                                   ctserver itself
#     docker build -t ctserver-asterisk --target asterisk .        an Asterisk 22 that knows ctserver, for compose.yaml
# docs/install.md tells how they are used together.

# ---- the wheel, and the locked wheels that it needs

FROM python:3.12-slim AS wheel
WORKDIR /src
COPY scripts/requirements.txt scripts/
RUN pip wheel --no-cache-dir --wheel-dir /wheels -r scripts/requirements.txt
COPY pyproject.toml README.md LICENSE ctserver.toml ./
COPY ctserver ctserver
COPY web web
COPY migrations migrations
COPY asterisk-conf asterisk-conf
COPY agi-scripts agi-scripts
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

# ---- Asterisk (a service of its own), with ctserver beside it for `ctserver dialplan` and ct_route.py
# The same uid as ctserver's: the two share the recordings, and this one reads the database while the other is away.

FROM debian:testing-slim AS asterisk
RUN apt-get update \
    && apt-get install -y --no-install-recommends asterisk asterisk-core-sounds-en-gsm python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY --from=wheel /dist /dist
COPY scripts/requirements.txt /dist/
RUN python3 -m venv /opt/ctserver \
    && /opt/ctserver/bin/pip install --no-cache-dir -r /dist/requirements.txt \
    && /opt/ctserver/bin/pip install --no-cache-dir --no-deps /dist/*.whl
COPY asterisk-conf/demo/extensions.conf asterisk-conf/demo/manager.conf asterisk-conf/demo/pjsip.conf \
    asterisk-conf/demo/rtp.conf /etc/asterisk/
RUN cd /etc/asterisk \
    && sed -i -e 's/@SIP_PORT@/5060/' -e 's/@AMI_PORT@/5038/' -e 's/@RTP_START@/10000/' -e 's/@RTP_END@/10099/' \
        -e 's/^bind = 127.0.0.1:/bind = 0.0.0.0:/' -e '/@EXTRA_DIALPLAN@/d' -e 's,#include ct-,#include ctserver/ct-,' \
        extensions.conf manager.conf pjsip.conf rtp.conf \
    && groupadd --gid 10001 ctserver \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ctserver \
    && install -d -o ctserver -g ctserver /etc/asterisk/ctserver /run/asterisk /var/lib/ctserver /var/spool/ctserver \
    && chown -R ctserver:ctserver /etc/asterisk /var/lib/asterisk /var/log/asterisk /var/spool/asterisk
ENV PATH=/opt/ctserver/bin:$PATH CTSERVER_CONFIG=/etc/ctserver/ctserver.toml
USER ctserver
VOLUME /var/spool/ctserver
# The arguments go to `ctserver dialplan`; the shell steps aside for Asterisk.
ENTRYPOINT ["/bin/sh", "-c", "ctserver dialplan --write /etc/asterisk/ctserver \"$@\" && exec asterisk -f", "asterisk"]

# ---- ctserver

FROM python:3.12-slim AS ctserver
COPY --from=wheel /wheels /wheels
COPY --from=wheel /dist /dist
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir --no-index --no-deps /wheels/*.whl /dist/*.whl \
    && rm -rf /wheels /dist \
    && groupadd --gid 10001 ctserver \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ctserver \
    && install -d -o ctserver -g ctserver /etc/ctserver /var/lib/ctserver /var/spool/ctserver
ENV PYTHONUNBUFFERED=1 CTSERVER_CONFIG=/etc/ctserver/ctserver.toml
USER ctserver
VOLUME ["/var/lib/ctserver", "/var/spool/ctserver"]
EXPOSE 8080
# Over HTTP only. The FastAGI port is Asterisk's: a probe there is a client that connects and leaves.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["ctserver"]
CMD ["serve"]
