# One image for every service of docker-compose.yml; the command selects the service. It holds neither the simulator nor build tools.
#   docker build -t gatepost:local .
#   docker build -t gatepost-demo:local --target demo .     with the simulator
FROM python:3.13-slim-bookworm AS wheel
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements/build.txt requirements/build.txt
RUN pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY producer producer
COPY worker worker
COPY operations operations
COPY simulator simulator
COPY testing testing
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist .

FROM python:3.13-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/gatepost
COPY requirements/image.txt requirements/image-demo.txt requirements/
RUN pip --python /opt/gatepost/bin/python install --require-hashes -r requirements/image.txt
COPY --from=wheel /build/dist dist
RUN pip --python /opt/gatepost/bin/python install --no-deps dist/*.whl
# Places, providers and time zones of phone numbers, which Gatepost does not read.
RUN cd /opt/gatepost/lib/python3.*/site-packages/phonenumbers && rm -r geodata carrierdata tzdata

FROM packages AS packages-default
RUN cd /opt/gatepost/lib/python3.*/site-packages && rm -r gatepost_simulator gatepost_testing

FROM packages AS packages-demo
RUN pip --python /opt/gatepost/bin/python install --require-hashes -r requirements/image-demo.txt

FROM python:3.13-slim-bookworm AS runtime
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gatepost \
 && install --directory --owner gatepost --mode 700 /simulator /accounts
ENV PATH=/opt/gatepost/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The service reads nothing from the working directory, and writes only to /tmp.
WORKDIR /tmp
USER 10001:10001
# Warm shutdown: calls under way finish and are settled.
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "gatepost_worker", "worker", "--without-gossip", "--without-mingle"]

FROM runtime AS demo
COPY --from=packages-demo /opt/gatepost /opt/gatepost

FROM runtime AS default
COPY --from=packages-default /opt/gatepost /opt/gatepost
