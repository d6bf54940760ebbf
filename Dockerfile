# The product as an image: what requirements.lock pins, and the sources beside it.
# Another base must bring python3 (3.11 or newer) with venv: --build-arg BASE_IMAGE=…
ARG BASE_IMAGE=python:3.13-slim-bookworm

FROM ${BASE_IMAGE} AS build
COPY requirements.lock /
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --quiet --no-cache-dir --no-deps --require-hashes -r /requirements.lock
COPY src /app/src
RUN /opt/venv/bin/python -m compileall -q -j 0 /app/src

FROM ${BASE_IMAGE}
ARG UID=10001
RUN useradd --uid ${UID} --home-dir /app --no-create-home --shell /usr/sbin/nologin getpro \
 && mkdir -p /app/logs /app/data \
 && chown -R getpro: /app
COPY deploy/image /usr/local/bin
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app/src /app/src
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app/src \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/tmp/cache \
    GETPRO_STARTED_AS="docker-compose exec bot 2getpro" \
    GETPRO_DATA_DIR=/app/data \
    GETPRO_LOG_DIR=logs \
    GETPRO_HOST=0.0.0.0 \
    GETPRO_METRICS_HOST=0.0.0.0
USER getpro
WORKDIR /app
EXPOSE 8080 9464 9465
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["answers", "http://127.0.0.1:8080/health/ready"]
STOPSIGNAL SIGTERM
CMD ["2getpro", "run"]
