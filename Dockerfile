# syntax=docker/dockerfile:1
# Two stages: one that installs, one that runs. The running one has no compiler, no pip cache, no shell scripts, and a
# numeric user. Pin the base by digest in your registry mirror; the tag here names the newest patch of one minor version.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /src
RUN python -m venv --without-pip /app
# Dependencies first: this layer changes only with the lock.
COPY requirements.lock ./
# --python: scripts get the virtual environment's interpreter, which the second stage has at the same path.
RUN pip --python /app/bin/python install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY monitor ./monitor
COPY checks ./checks
COPY config/pipelines ./config/pipelines
RUN pip wheel --no-deps --wheel-dir /wheels . \
 && pip --python /app/bin/python install --no-deps /wheels/*.whl \
 && python -m compileall -q /app/lib

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="tripswitch" \
      org.opencontainers.image.description="Watches AWS data pipelines and contains their incidents" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app /app
RUN install -d -o 10001 -g 10001 /var/lib/tripswitch /etc/tripswitch
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TRIPSWITCH_STORE=sqlite:////var/lib/tripswitch/state.db
USER 10001:10001
WORKDIR /var/lib/tripswitch
VOLUME ["/var/lib/tripswitch"]
EXPOSE 9108
# ECS and Kubernetes ignore this one and bring their own; plain Docker uses it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["tripswitch", "healthz", "--url", "http://127.0.0.1:9108"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tripswitch"]
CMD ["run", "/etc/tripswitch"]
