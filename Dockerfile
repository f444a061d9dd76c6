# The service: serving dependencies only, the bundles inside, a user of its own, nothing downloaded at start.
# Its root may be read-only; it writes to /data, and to /tmp while an upload comes in. See docs/service.md.
FROM python:3.13-slim AS build
COPY . /source
RUN /source/scripts/build_image /flukeprint server

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin flukeprint \
    && install -d -o flukeprint -g flukeprint /data \
    && ln -s /flukeprint/bin/flukeprint /usr/local/bin/flukeprint
COPY --from=build /flukeprint /flukeprint
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLUKEPRINT_DATA_DIR=/data \
    FLUKEPRINT_HOST=0.0.0.0 \
    FLUKEPRINT_USER=service \
    FLUKEPRINT_LOG_FORMAT=json
USER 10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/flukeprint/venv/bin/python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"FLUKEPRINT_PORT\") or 8000}/healthz', timeout=4)"]
ENTRYPOINT ["/flukeprint/venv/bin/python", "/flukeprint/app/cli.py"]
CMD ["serve"]
