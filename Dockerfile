# One process, not root, state in a volume. The system libcrypto of the base image has SM2.
FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /srv/yinxin yinxin \
 && install -d -m 700 -o yinxin -g yinxin /srv/yinxin/state
WORKDIR /opt/yinxin
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/yinxin/venv \
 && /opt/yinxin/venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY core core
COPY keystore keystore
COPY ca ca
COPY crl crl
COPY authn authn
COPY yinxin yinxin
RUN /opt/yinxin/venv/bin/pip install --no-cache-dir --no-deps .
USER yinxin
VOLUME /srv/yinxin/state
ENV YINXIN_STATE=/srv/yinxin/state YINXIN_SERVER__LISTEN_ADDRESS=0.0.0.0
EXPOSE 8443 8444 8080
ENTRYPOINT ["/opt/yinxin/venv/bin/yinxin"]
CMD ["serve"]
