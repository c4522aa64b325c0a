// Leshan's LwM2M server behind JSON lines: a request a line on standard input, answers and events on standard output.
// SPDX-License-Identifier: MIT

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigInteger;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.EmptyMessage;
import org.eclipse.californium.core.coap.Message;
import org.eclipse.californium.core.coap.MessageObserverAdapter;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.Token;
import org.eclipse.californium.core.coap.option.OpaqueOption;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.link.attributes.Attribute;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttribute;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeModel;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mRoot;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.node.TimestampedLwM2mNode;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.CancelCompositeObservationRequest;
import org.eclipse.leshan.core.request.CancelObservationRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadCompositeRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.eclipse.leshan.core.request.WriteCompositeRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.response.CreateResponse;
import org.eclipse.leshan.core.response.DiscoverResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.core.response.ReadCompositeResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.util.Hex;
import org.eclipse.leshan.core.util.datatype.ULong;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.endpoint.LwM2mServerEndpoint;
import org.eclipse.leshan.server.model.VersionedModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.queue.PresenceListener;
import org.eclipse.leshan.server.queue.StaticClientAwakeTimeProvider;
import org.eclipse.leshan.server.registration.InMemoryRegistrationStore;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.send.SendListener;
import org.eclipse.leshan.servers.security.InMemorySecurityStore;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.eclipse.leshan.transport.californium.identity.DefaultCoapIdentityHandler;
import org.eclipse.leshan.transport.californium.identity.DefaultCoapsIdentityHandler;
import org.eclipse.leshan.transport.californium.identity.IdentityHandler;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpoint;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coaps.CoapsServerProtocolProvider;

/**
 * Options, each with a value: --coap PORT, --coaps PORT (0, the default, takes a free one), --host ADDRESS,
 * --host6 ADDRESS (another, for coap on a free port),
 * --cid LENGTH (none without it), --models DIRECTORY, --awake MILLISECONDS, --chain, --key and --trust (PEM files).
 *
 * A request is {"id", "op", ...}; its answer {"id", ...} or {"id", "error"}. Events are {"event", ...}.
 */
public final class InteropServer {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static PrintStream out;

    private final InMemorySecurityStore security = new InMemorySecurityStore();
    private final LeshanServer server;

    public static void main(String[] args) throws Exception {
        // Only JSON lines may reach standard output, whatever a library prints.
        out = System.out;
        System.setOut(System.err);
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], args[i + 1]);
        }
        new InteropServer(options).serve();
    }

    private InteropServer(Map<String, String> options) throws Exception {
        InetAddress host = InetAddress.getByName(options.getOrDefault("--host", "127.0.0.1"));
        CaliforniumServerEndpointsProvider.Builder endpoints = new CaliforniumServerEndpointsProvider.Builder(
                new CoapServerProtocolProvider(), new CoapsServerProtocolProvider());
        endpoints.setConfiguration(configuration -> {
            configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
            configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH,
                    options.containsKey("--cid") ? Integer.valueOf(options.get("--cid")) : null);
        });
        endpoints.addEndpoint(address(host, options.get("--coap")), Protocol.COAP);
        endpoints.addEndpoint(address(host, options.get("--coaps")), Protocol.COAPS);
        if (options.containsKey("--host6")) {
            endpoints.addEndpoint(address(InetAddress.getByName(options.get("--host6")), null), Protocol.COAP);
        }

        List<ObjectModel> models = ObjectLoader.loadAllDefault();
        if (options.containsKey("--models")) {
            models.addAll(ObjectLoader.loadObjectsFromDir(new File(options.get("--models")), false));
        }

        LeshanServerBuilder builder = new LeshanServerBuilder();
        builder.setEndpointsProviders(endpoints.build());
        builder.setObjectModelProvider(new VersionedModelProvider(models));
        builder.setRegistrationStore(new InMemoryRegistrationStore(1));
        builder.setSecurityStore(security);
        if (options.containsKey("--awake")) {
            builder.setClientAwakeTimeProvider(new StaticClientAwakeTimeProvider(
                    Integer.parseInt(options.get("--awake"))));
        }
        if (options.containsKey("--chain")) {
            builder.setCertificateChain(certificates(options.get("--chain")));
            builder.setPrivateKey(privateKey(options.get("--key")));
            builder.setTrustedCertificates(certificates(options.get("--trust")));
        }
        server = builder.build();
        listen();
    }

    private static InetSocketAddress address(InetAddress host, String port) {
        return new InetSocketAddress(host, port == null ? 0 : Integer.parseInt(port));
    }

    private static X509Certificate[] certificates(String file) throws Exception {
        try (FileInputStream input = new FileInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(input)
                    .toArray(new X509Certificate[0]);
        }
    }

    private static PrivateKey privateKey(String file) throws Exception {
        String pem = Files.readString(Path.of(file)).replaceAll("-----[A-Z ]+-----|\\s", "");
        return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
    }

    private void serve() throws Exception {
        server.start();
        ObjectNode ready = event("ready");
        for (LwM2mServerEndpoint endpoint : server.getEndpoints()) {
            CoapEndpoint coap = ((CaliforniumServerEndpoint) endpoint).getCoapEndpoint();
            trace(coap);
            String name = endpoint.getProtocol() == Protocol.COAP ? "coap" : "coaps";
            ready.put(coap.getAddress().getAddress() instanceof Inet6Address ? name + "6" : name,
                    coap.getAddress().getPort());
        }
        emit(ready);
        // One thread a request: a slow answer must not hold up the next request.
        ExecutorService workers = Executors.newCachedThreadPool();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            JsonNode request = JSON.readTree(line);
            workers.execute(() -> {
                ObjectNode answer = JSON.createObjectNode();
                answer.set("id", request.get("id"));
                try {
                    handle(request, answer);
                } catch (Exception e) {
                    answer.removeAll();
                    answer.set("id", request.get("id"));
                    answer.put("error", e.getClass().getSimpleName() + ": " + e.getMessage());
                }
                emit(answer);
            });
        }
        workers.shutdownNow();
        server.destroy();
        System.exit(0);
    }

    private static synchronized void emit(ObjectNode node) {
        out.println(node);
        out.flush();
    }

    private static ObjectNode event(String name) {
        return JSON.createObjectNode().put("event", name);
    }

    // ---------------------------------------------------------------- events

    private void listen() {
        server.getRegistrationService().addListener(new RegistrationListener() {
            @Override
            public void registered(Registration reg, Registration previous, Collection<Observation> lost) {
                ObjectNode node = registration(event("registered"), reg);
                node.put("replaced", previous == null ? null : previous.getId());
                emit(node);
            }

            @Override
            public void updated(RegistrationUpdate update, Registration reg, Registration previous) {
                ObjectNode node = registration(event("updated"), reg);
                ObjectNode changes = node.putObject("changes");
                changes.put("lifetime", update.getLifeTimeInSec());
                changes.put("binding", update.getBindingMode() == null ? null : binding(update.getBindingMode()));
                changes.set("links", update.getObjectLinks() == null ? null : links(update.getObjectLinks()));
                emit(node);
            }

            @Override
            public void unregistered(Registration reg, Collection<Observation> lost, boolean expired,
                    Registration replacement) {
                // A registration that another one replaces is told by `registered`.
                if (replacement == null) {
                    emit(registration(event(expired ? "expired" : "unregistered"), reg));
                }
            }
        });
        server.getObservationService().addListener(new ObservationListener() {
            @Override
            public void newObservation(Observation observation, Registration reg) {
            }

            @Override
            public void cancelled(Observation observation) {
                Registration reg = server.getRegistrationService().getById(observation.getRegistrationId());
                emit(event("cancelled").put("endpoint", reg == null ? null : reg.getEndpoint())
                        .put("observation", observation.getId().getAsHexString()));
            }

            @Override
            public void onResponse(SingleObservation observation, Registration reg, ObserveResponse response) {
                ObjectNode node = notification(observation, reg, response);
                node.put("path", observation.getPath().toString());
                content(node, observation.getPath(), response.getContent());
                timestamps(node, observation.getPath(), response.getTimestampedLwM2mNodes());
                emit(node);
            }

            @Override
            public void onResponse(CompositeObservation observation, Registration reg,
                    ObserveCompositeResponse response) {
                ObjectNode node = notification(observation, reg, response);
                ArrayNode paths = node.putArray("paths");
                observation.getPaths().forEach(path -> paths.add(path.toString()));
                content(node, response.getContent());
                timestamps(node, response.getTimestampedLwM2mNodes());
                emit(node);
            }

            @Override
            public void onError(Observation observation, Registration reg, Exception error) {
                emit(event("notification-error").put("endpoint", reg == null ? null : reg.getEndpoint())
                        .put("observation", observation.getId().getAsHexString()).put("message", error.toString()));
            }
        });
        server.getSendService().addListener(new SendListener() {
            @Override
            public void dataReceived(Registration reg, TimestampedLwM2mNodes data, SendRequest request) {
                ObjectNode node = event("send").put("endpoint", reg.getEndpoint());
                if (request != null) {
                    node.put("format", request.getFormat().getCode());
                }
                content(node, data.getMostRecentNodes());
                timestamps(node, data);
                emit(node);
            }

            @Override
            public void onError(Registration reg, String message, Exception error) {
                emit(event("send-error").put("endpoint", reg == null ? null : reg.getEndpoint())
                        .put("message", message + " " + error));
            }
        });
        if (server.getPresenceService() != null) {
            server.getPresenceService().addListener(new PresenceListener() {
                @Override
                public void onAwake(Registration reg) {
                    emit(event("awake").put("endpoint", reg.getEndpoint()));
                }

                @Override
                public void onSleeping(Registration reg) {
                    emit(event("sleeping").put("endpoint", reg.getEndpoint()));
                }
            });
        }
    }

    private ObjectNode notification(Observation observation, Registration reg, LwM2mResponse response) {
        ObjectNode node = event("notification").put("endpoint", reg.getEndpoint())
                .put("observation", observation.getId().getAsHexString());
        outcome(node, response);
        return node;
    }

    /** Tells every CoAP message, as bytes and in parts, on its way to and from the socket. */
    private static void trace(CoapEndpoint endpoint) {
        endpoint.addInterceptor(new MessageInterceptor() {
            @Override
            public void receiveRequest(Request request) {
                message("in", request, request.getSourceContext());
            }

            @Override
            public void receiveResponse(Response response) {
                message("in", response, response.getSourceContext());
            }

            @Override
            public void receiveEmptyMessage(EmptyMessage empty) {
                message("in", empty, empty.getSourceContext());
            }
        });
        // Outgoing messages have their bytes only once they have gone through the stack.
        endpoint.addPostProcessInterceptor(new MessageInterceptor() {
            @Override
            public void sendRequest(Request request) {
                message("out", request, request.getDestinationContext());
            }

            @Override
            public void sendResponse(Response response) {
                message("out", response, response.getDestinationContext());
            }

            @Override
            public void sendEmptyMessage(EmptyMessage empty) {
                message("out", empty, empty.getDestinationContext());
            }
        });
    }

    private static void message(String direction, Message message, EndpointContext peer) {
        ObjectNode node = event("coap").put("direction", direction)
                .put("peer", peer == null ? 0 : peer.getPeerAddress().getPort());
        coap(node, message);
        node.put("bytes", message.getBytes() == null ? null : Hex.encodeHexString(message.getBytes()));
        emit(node);
    }

    private static void coap(ObjectNode node, Message message) {
        node.put("type", message.getType() == null ? null : message.getType().name());
        node.put("mid", message.getMID());
        node.put("code", code(message.getRawCode()));
        node.put("token", message.getTokenString());
        node.put("options", message.getOptions().toString());
        node.put("format", message.getOptions().getContentFormat());
        node.put("observe", message.getOptions().getObserve());
        node.put("payload", Hex.encodeHexString(message.getPayload()));
    }

    private static String code(int raw) {
        return String.format("%d.%02d", raw >> 5, raw & 31);
    }

    // -------------------------------------------------------------- requests

    private void handle(JsonNode request, ObjectNode answer) throws Exception {
        switch (request.get("op").asText()) {
        case "clients":
            ArrayNode all = answer.putArray("clients");
            for (Iterator<Registration> i = server.getRegistrationService().getAllRegistrations(); i.hasNext();) {
                registration(all.addObject(), i.next());
            }
            return;
        case "client":
            Registration found = server.getRegistrationService().getByEndpoint(request.get("endpoint").asText());
            answer.set("client", found == null ? null : registration(JSON.createObjectNode(), found));
            return;
        case "security-add":
            security.add(securityInfo(request));
            return;
        case "security-remove":
            security.remove(request.get("endpoint").asText(), true);
            return;
        case "dtls-forget":
            // All sessions are lost, and nobody is told.
            for (LwM2mServerEndpoint each : server.getEndpoints()) {
                if (each.getProtocol() == Protocol.COAPS) {
                    ((DTLSConnector) ((CaliforniumServerEndpoint) each).getCoapEndpoint().getConnector())
                            .clearConnectionState();
                }
            }
            return;
        default:
        }
        String endpoint = request.get("endpoint").asText();
        Registration reg = server.getRegistrationService().getByEndpoint(endpoint);
        if (reg == null) {
            throw new IllegalArgumentException("not registered: " + endpoint);
        }
        long timeout = (long) (request.path("timeout").asDouble(5) * 1000);
        String path = request.path("path").asText(null);
        ContentFormat format = format(request.get("format"));
        switch (request.get("op").asText()) {
        case "read":
            send(answer, reg, new ReadRequest(format, path), timeout, path);
            break;
        case "discover":
            send(answer, reg, new DiscoverRequest(path), timeout, path);
            break;
        case "write":
            write(request, answer, reg, new LwM2mPath(path), format, timeout);
            break;
        case "attributes":
            send(answer, reg, new WriteAttributesRequest(path, attributes(request.get("attributes"))), timeout, path);
            break;
        case "execute":
            send(answer, reg, new ExecuteRequest(path, request.path("args").asText(null)), timeout, path);
            break;
        case "create":
            create(request, answer, reg, new LwM2mPath(path), format, timeout);
            break;
        case "delete":
            send(answer, reg, new DeleteRequest(path), timeout, path);
            break;
        case "observe":
            send(answer, reg, new ObserveRequest(format, path), timeout, path);
            break;
        case "cancel":
            cancel(request, answer, reg, timeout);
            break;
        case "observations":
            ArrayNode list = answer.putArray("observations");
            for (Observation each : server.getObservationService().getObservations(reg)) {
                list.add(each.getId().getAsHexString());
            }
            break;
        case "read-composite":
            send(answer, reg, new ReadCompositeRequest(composite(request, "pathformat"),
                    composite(request, "nodeformat"), strings(request.get("paths"))), timeout, null);
            break;
        case "write-composite":
            Map<LwM2mPath, LwM2mNode> nodes = new TreeMap<>();
            for (Map.Entry<String, JsonNode> each : fields(request.get("values")).entrySet()) {
                LwM2mPath target = new LwM2mPath(each.getKey());
                nodes.put(target, node(reg, target, each.getValue(),
                        request.path("types").path(each.getKey()).asText(null)));
            }
            send(answer, reg, new WriteCompositeRequest(composite(request, "nodeformat"), nodes, null), timeout,
                    null);
            break;
        case "observe-composite":
            send(answer, reg, new ObserveCompositeRequest(composite(request, "pathformat"),
                    composite(request, "nodeformat"), strings(request.get("paths")).toArray(new String[0])), timeout,
                    null);
            break;
        case "forget":
            // As a server that was restarted: it says nothing to the client.
            server.getRegistrationStore().removeRegistration(reg.getId());
            break;
        case "awake":
            answer.put("awake", server.getPresenceService().isClientAwake(reg));
            break;
        case "coap":
            raw(request, answer, reg, timeout);
            break;
        case "ping":
            ping(answer, reg, timeout);
            break;
        default:
            throw new IllegalArgumentException("unknown op: " + request.get("op").asText());
        }
    }

    private <T extends LwM2mResponse> void send(ObjectNode answer, Registration reg,
            DownlinkDeviceManagementRequest<T> request, long timeout, String path) throws InterruptedException {
        T response = server.send(reg, request, timeout);
        if (response == null) {
            answer.put("error", "timeout");
            return;
        }
        outcome(answer, response);
        if (response instanceof ObserveCompositeResponse
                && ((ObserveCompositeResponse) response).getObservation() != null) {
            answer.put("observation", ((ObserveCompositeResponse) response).getObservation().getId().getAsHexString());
        }
        if (response instanceof ReadCompositeResponse) {
            content(answer, ((ReadCompositeResponse) response).getContent());
        } else if (response instanceof ReadResponse) {
            content(answer, new LwM2mPath(path), ((ReadResponse) response).getContent());
            if (response instanceof ObserveResponse && ((ObserveResponse) response).getObservation() != null) {
                answer.put("observation", ((ObserveResponse) response).getObservation().getId().getAsHexString());
            }
        } else if (response instanceof CreateResponse) {
            answer.put("location", ((CreateResponse) response).getLocation());
        } else if (response instanceof DiscoverResponse && ((DiscoverResponse) response).getObjectLinks() != null) {
            answer.set("links", links(((DiscoverResponse) response).getObjectLinks()));
        }
    }

    private static void outcome(ObjectNode answer, LwM2mResponse response) {
        answer.put("code", String.format("%d.%02d", response.getCode().getCode() / 100,
                response.getCode().getCode() % 100));
        answer.put("name", response.getCode().getName());
        answer.put("success", response.isSuccess());
        answer.put("message", response.getErrorMessage());
        if (response.getCoapResponse() instanceof Response) {
            Response coap = (Response) response.getCoapResponse();
            coap(answer.putObject("coap"), coap);
            answer.put("format", coap.getOptions().getContentFormat());
        }
    }

    private void write(JsonNode request, ObjectNode answer, Registration reg, LwM2mPath path, ContentFormat format,
            long timeout) throws InterruptedException {
        WriteRequest.Mode mode = request.path("mode").asText("replace").equals("update") ? WriteRequest.Mode.UPDATE
                : WriteRequest.Mode.REPLACE;
        LwM2mNode node = node(reg, path, request.get("value"), request.path("type").asText(null));
        send(answer, reg, new WriteRequest(mode, format, path, node, null), timeout, path.toString());
    }

    private void create(JsonNode request, ObjectNode answer, Registration reg, LwM2mPath path, ContentFormat format,
            long timeout) throws InterruptedException {
        int object = path.getObjectId();
        List<LwM2mObjectInstance> instances = new ArrayList<>();
        if (request.has("instances")) {
            for (Map.Entry<String, JsonNode> each : fields(request.get("instances")).entrySet()) {
                int id = Integer.parseInt(each.getKey());
                instances.add(new LwM2mObjectInstance(id, resources(reg, new LwM2mPath(object, id),
                        each.getValue())));
            }
        } else if (path.isObjectInstance()) {
            instances.add(new LwM2mObjectInstance(path.getObjectInstanceId(), resources(reg, path,
                    request.get("value"))));
        }
        CreateRequest create = instances.isEmpty()
                ? new CreateRequest(format, object, resources(reg, new LwM2mPath(object, 0), request.get("value")))
                : new CreateRequest(format, object, instances.toArray(new LwM2mObjectInstance[0]));
        send(answer, reg, create, timeout, null);
    }

    private void cancel(JsonNode request, ObjectNode answer, Registration reg, long timeout)
            throws InterruptedException {
        String id = request.get("observation").asText();
        for (Observation each : server.getObservationService().getObservations(reg)) {
            if (each.getId().getAsHexString().equals(id)) {
                if (!request.path("active").asBoolean()) {
                    server.getObservationService().cancelObservation(each);
                } else if (each instanceof SingleObservation) {
                    send(answer, reg, new CancelObservationRequest((SingleObservation) each), timeout,
                            ((SingleObservation) each).getPath().toString());
                } else {
                    send(answer, reg, new CancelCompositeObservationRequest((CompositeObservation) each), timeout,
                            null);
                }
                return;
            }
        }
        throw new IllegalArgumentException("no observation: " + id);
    }

    /** A request that Leshan itself would not make: any method, path, query, option and payload. */
    private void raw(JsonNode request, ObjectNode answer, Registration reg, long timeout) throws Exception {
        CoAP.Type type = CoAP.Type.valueOf(request.path("type").asText("CON"));
        Request message = new Request(CoAP.Code.valueOf(request.get("method").asText()), type);
        for (String part : request.get("path").asText().split("/")) {
            if (!part.isEmpty()) {
                message.getOptions().addUriPath(part);
            }
        }
        for (String each : strings(request.get("query"))) {
            message.getOptions().addUriQuery(each);
        }
        if (request.hasNonNull("format")) {
            message.getOptions().setContentFormat(request.get("format").asInt());
        }
        if (request.hasNonNull("accept")) {
            message.getOptions().setAccept(request.get("accept").asInt());
        }
        if (request.has("options")) {
            for (JsonNode each : request.get("options")) {
                int number = each.get(0).asInt();
                message.getOptions().addOtherOption(new OpaqueOption.Definition(number, "Option " + number)
                        .create(Hex.decodeHex(each.get(1).asText().toCharArray())));
            }
        }
        if (request.hasNonNull("observe")) {
            message.getOptions().setObserve(request.get("observe").asInt());
        }
        if (request.hasNonNull("block2")) {
            // The size exponent, to ask for smaller blocks than Californium does by itself.
            message.getOptions().setBlock2(request.get("block2").asInt(), false, 0);
        }
        if (request.hasNonNull("payload")) {
            message.setPayload(Hex.decodeHex(request.get("payload").asText().toCharArray()));
        }
        CompletableFuture<Response> done = new CompletableFuture<>();
        message.addMessageObserver(new MessageObserverAdapter() {
            @Override
            public void onResponse(Response response) {
                done.complete(response);
            }

            @Override
            public void onReject() {
                done.completeExceptionally(new IllegalStateException("reset"));
            }

            @Override
            public void onSendError(Throwable error) {
                done.completeExceptionally(error);
            }
        });
        transmit(message, reg);
        Response response = done.get(timeout, TimeUnit.MILLISECONDS);
        coap(answer, response);
        answer.put("success", response.getCode().isSuccess());
        if (response.getOptions().getLocationPathCount() > 0) {
            answer.put("location", response.getOptions().getLocationPathString());
        }
    }

    private void ping(ObjectNode answer, Registration reg, long timeout) throws Exception {
        CompletableFuture<Boolean> done = new CompletableFuture<>();
        Request message = Request.newPing();
        message.setToken(Token.EMPTY);
        message.addMessageObserver(new MessageObserverAdapter() {
            @Override
            public void onReject() {
                done.complete(true);
            }
        });
        transmit(message, reg);
        answer.put("reset", done.get(timeout, TimeUnit.MILLISECONDS));
    }

    private void transmit(Request message, Registration reg) {
        CaliforniumServerEndpoint endpoint = null;
        for (LwM2mServerEndpoint each : server.getEndpoints()) {
            if (each.getURI().equals(reg.getEndpointUri())) {
                endpoint = (CaliforniumServerEndpoint) each;
            }
        }
        if (endpoint == null) {
            throw new IllegalStateException("no endpoint " + reg.getEndpointUri());
        }
        IdentityHandler identity = endpoint.getProtocol() == Protocol.COAP ? new DefaultCoapIdentityHandler()
                : new DefaultCoapsIdentityHandler();
        message.setDestinationContext(identity.createEndpointContext(reg.getClientTransportData(), false));
        endpoint.getCoapEndpoint().sendRequest(message);
    }

    private static SecurityInfo securityInfo(JsonNode request) {
        String endpoint = request.get("endpoint").asText();
        return request.has("identity") ? SecurityInfo.newPreSharedKeyInfo(endpoint, request.get("identity").asText(),
                Hex.decodeHex(request.get("key").asText().toCharArray())) : SecurityInfo.newX509CertInfo(endpoint);
    }

    private static ContentFormat format(JsonNode node) {
        if (node == null || node.isNull()) {
            return null;
        }
        return node.isInt() ? ContentFormat.fromCode(node.asInt()) : ContentFormat.fromName(node.asText());
    }

    private static ContentFormat composite(JsonNode request, String name) {
        ContentFormat format = format(request.get(name));
        return format == null ? ContentFormat.SENML_CBOR : format;
    }

    private static List<String> strings(JsonNode node) {
        List<String> result = new ArrayList<>();
        if (node != null) {
            node.forEach(each -> result.add(each.asText()));
        }
        return result;
    }

    private static Map<String, JsonNode> fields(JsonNode node) {
        Map<String, JsonNode> result = new HashMap<>();
        if (node != null) {
            node.fields().forEachRemaining(each -> result.put(each.getKey(), each.getValue()));
        }
        return result;
    }

    /** {"pmin": 1, "st": null}: null takes the attribute away. */
    private static LwM2mAttributeSet attributes(JsonNode node) {
        List<LwM2mAttribute<?>> result = new ArrayList<>();
        for (Map.Entry<String, JsonNode> each : fields(node).entrySet()) {
            LwM2mAttributeModel<?> model = null;
            for (LwM2mAttributeModel<?> known : LwM2mAttributes.ALL) {
                if (known.getName().equals(each.getKey())) {
                    model = known;
                }
            }
            if (model == null) {
                throw new IllegalArgumentException("unknown attribute: " + each.getKey());
            }
            result.add(attribute(model, each.getValue()));
        }
        return new LwM2mAttributeSet(result);
    }

    @SuppressWarnings("unchecked")
    private static LwM2mAttribute<?> attribute(LwM2mAttributeModel<?> model, JsonNode value) {
        if (value.isNull()) {
            return LwM2mAttributes.create(model);
        }
        if (model == LwM2mAttributes.GREATER_THAN || model == LwM2mAttributes.LESSER_THAN
                || model == LwM2mAttributes.STEP) {
            return LwM2mAttributes.create((LwM2mAttributeModel<java.math.BigDecimal>) model, value.asText());
        }
        return LwM2mAttributes.create((LwM2mAttributeModel<Long>) model, Long.valueOf(value.asLong()));
    }

    // ---------------------------------------------------- JSON into nodes

    private ResourceModel.Type type(Registration reg, LwM2mPath path, String named) {
        if (named != null) {
            return ResourceModel.Type.valueOf(named);
        }
        ResourceModel model = server.getModelProvider().getObjectModel(reg).getResourceModel(path.getObjectId(),
                path.getResourceId());
        if (model == null) {
            throw new IllegalArgumentException("no model, so a type is needed: " + path);
        }
        return model.type;
    }

    private LwM2mNode node(Registration reg, LwM2mPath path, JsonNode value, String named) {
        if (path.isObjectInstance()) {
            return new LwM2mObjectInstance(path.getObjectInstanceId(), resources(reg, path, value));
        }
        if (path.isResource()) {
            return resource(reg, path, value, named);
        }
        if (path.isResourceInstance()) {
            ResourceModel.Type type = type(reg, path, named);
            return LwM2mResourceInstance.newInstance(path.getResourceInstanceId(), value(type, value), type);
        }
        throw new IllegalArgumentException("cannot write: " + path);
    }

    private List<LwM2mResource> resources(Registration reg, LwM2mPath instance, JsonNode values) {
        List<LwM2mResource> result = new ArrayList<>();
        for (Map.Entry<String, JsonNode> each : fields(values).entrySet()) {
            result.add(resource(reg, instance.append(each.getKey()), each.getValue(), null));
        }
        return result;
    }

    private LwM2mResource resource(Registration reg, LwM2mPath path, JsonNode value, String named) {
        ResourceModel.Type type = type(reg, path, named);
        if (!value.isObject()) {
            return LwM2mSingleResource.newResource(path.getResourceId(), value(type, value), type);
        }
        Map<Integer, Object> instances = new TreeMap<>();
        fields(value).forEach((id, each) -> instances.put(Integer.valueOf(id), value(type, each)));
        return LwM2mMultipleResource.newResource(path.getResourceId(), instances, type);
    }

    /** Opaque values are hexadecimal, times epoch seconds, object links "3:0". */
    private static Object value(ResourceModel.Type type, JsonNode value) {
        switch (type) {
        case INTEGER:
            return value.asLong();
        case UNSIGNED_INTEGER:
            return ULong.valueOf(value.asText());
        case FLOAT:
            return value.asDouble();
        case BOOLEAN:
            return value.asBoolean();
        case OPAQUE:
            return Hex.decodeHex(value.asText().toCharArray());
        case TIME:
            return new Date(value.asLong() * 1000);
        case OBJLNK:
            return ObjectLink.decodeFromString(value.asText());
        default:
            return value.asText();
        }
    }

    // ---------------------------------------------------- nodes into JSON

    /** Puts "kind", and flat maps from path to value and to type; an object's instances also if they are empty. */
    private static void content(ObjectNode answer, LwM2mPath path, LwM2mNode node) {
        if (node != null) {
            answer.put("kind", kind(node));
            content(answer, Map.of(path, node));
        }
    }

    private static void content(ObjectNode answer, Map<LwM2mPath, LwM2mNode> nodes) {
        if (nodes == null) {
            return;
        }
        ObjectNode values = answer.putObject("content");
        ObjectNode types = answer.putObject("types");
        ArrayNode instances = answer.putArray("instances");
        for (Map.Entry<LwM2mPath, LwM2mNode> each : new TreeMap<>(nodes(nodes)).entrySet()) {
            flatten(each.getKey(), each.getValue(), values, types, instances);
        }
    }

    /** Composite answers name a path that has no value: it is left out. */
    private static Map<LwM2mPath, LwM2mNode> nodes(Map<LwM2mPath, LwM2mNode> nodes) {
        Map<LwM2mPath, LwM2mNode> result = new HashMap<>(nodes);
        result.values().removeIf(each -> each == null);
        return result;
    }

    private static String kind(LwM2mNode node) {
        if (node instanceof LwM2mRoot) {
            return "root";
        }
        if (node instanceof LwM2mObject) {
            return "object";
        }
        if (node instanceof LwM2mObjectInstance) {
            return "instance";
        }
        if (node instanceof LwM2mResourceInstance) {
            return "resource-instance";
        }
        return ((LwM2mResource) node).isMultiInstances() ? "multiple" : "single";
    }

    private static void flatten(LwM2mPath path, LwM2mNode node, ObjectNode values, ObjectNode types,
            ArrayNode instances) {
        if (node instanceof LwM2mRoot) {
            ((LwM2mRoot) node).getObjects().forEach((id, each) -> flatten(new LwM2mPath(id), each, values, types,
                    instances));
        } else if (node instanceof LwM2mObject) {
            new TreeMap<>(((LwM2mObject) node).getInstances()).forEach((id, each) -> flatten(path.append(id), each,
                    values, types, instances));
        } else if (node instanceof LwM2mObjectInstance) {
            instances.add(path.toString());
            new TreeMap<>(((LwM2mObjectInstance) node).getResources()).forEach((id, each) -> flatten(path.append(id),
                    each, values, types, instances));
        } else if (node instanceof LwM2mResourceInstance) {
            LwM2mResourceInstance leaf = (LwM2mResourceInstance) node;
            leaf(path, leaf.getType(), leaf.getValue(), values, types);
        } else if (((LwM2mResource) node).isMultiInstances()) {
            new TreeMap<>(((LwM2mResource) node).getInstances()).forEach((id, each) -> flatten(path.append(id), each,
                    values, types, instances));
        } else {
            leaf(path, ((LwM2mResource) node).getType(), ((LwM2mResource) node).getValue(), values, types);
        }
    }

    private static void leaf(LwM2mPath path, ResourceModel.Type type, Object value, ObjectNode values,
            ObjectNode types) {
        String key = path.toString();
        types.put(key, type.name());
        if (value instanceof Long) {
            values.put(key, (Long) value);
        } else if (value instanceof ULong) {
            values.put(key, new BigInteger(value.toString()));
        } else if (value instanceof Double) {
            values.put(key, (Double) value);
        } else if (value instanceof Boolean) {
            values.put(key, (Boolean) value);
        } else if (value instanceof byte[]) {
            values.put(key, Hex.encodeHexString((byte[]) value));
        } else if (value instanceof Date) {
            values.put(key, ((Date) value).getTime() / 1000);
        } else if (value instanceof ObjectLink) {
            values.put(key, ((ObjectLink) value).encodeToString());
        } else if (value instanceof Link[]) {
            values.set(key, links((Link[]) value));
        } else {
            values.put(key, String.valueOf(value));
        }
    }

    private static void timestamps(ObjectNode answer, LwM2mPath path, List<TimestampedLwM2mNode> nodes) {
        if (nodes != null) {
            ArrayNode list = answer.putArray("timestamped");
            for (TimestampedLwM2mNode each : nodes) {
                content(stamped(list, each.getTimestamp()), path, each.getNode());
            }
        }
    }

    private static void timestamps(ObjectNode answer, TimestampedLwM2mNodes nodes) {
        if (nodes != null) {
            ArrayNode list = answer.putArray("timestamped");
            for (Instant each : nodes.getTimestamps()) {
                content(stamped(list, each), nodes.getNodesAt(each));
            }
        }
    }

    private static ObjectNode stamped(ArrayNode list, Instant time) {
        return list.addObject().put("time", time == null ? null : time.toEpochMilli() / 1000.0);
    }

    private static String binding(Collection<?> modes) {
        StringBuilder text = new StringBuilder();
        modes.forEach(text::append);
        return text.toString();
    }

    private static ObjectNode registration(ObjectNode node, Registration reg) {
        node.put("endpoint", reg.getEndpoint());
        node.put("registration", reg.getId());
        node.put("version", reg.getLwM2mVersion().toString());
        node.put("lifetime", reg.getLifeTimeInSec());
        node.put("binding", binding(reg.getBindingMode()));
        node.put("queue", reg.usesQueueMode());
        node.put("sms", reg.getSmsNumber());
        node.put("root", reg.getRootPath());
        node.put("address", reg.getAddress().getHostAddress());
        node.put("port", reg.getPort());
        node.put("scheme", reg.getEndpointUri().getScheme());
        node.put("identity", reg.getClientTransportData().getIdentity().toString());
        node.set("links", links(reg.getSortedObjectLinks()));
        ArrayNode instances = node.putArray("instances");
        reg.getAvailableInstances().stream().sorted().forEach(each -> instances.add(each.toString()));
        ObjectNode objects = node.putObject("objects");
        new TreeMap<>(reg.getSupportedObject()).forEach((id, version) -> objects.put(id.toString(),
                version.toString()));
        ArrayNode formats = node.putArray("formats");
        reg.getSupportedContentFormats().stream().sorted().forEach(each -> formats.add(each.getCode()));
        ObjectNode attributes = node.putObject("attributes");
        new TreeMap<>(reg.getAdditionalRegistrationAttributes()).forEach(attributes::put);
        return node;
    }

    private static ArrayNode links(Link[] links) {
        ArrayNode list = JSON.createArrayNode();
        for (Link link : links) {
            ObjectNode node = list.addObject().put("path", link.getUriReference());
            ObjectNode attributes = node.putObject("attributes");
            for (Attribute each : link.getAttributes()) {
                if (each.getValue() instanceof Long) {
                    attributes.put(each.getName(), (Long) each.getValue());
                } else if (each.getValue() instanceof Number) {
                    attributes.put(each.getName(), ((Number) each.getValue()).doubleValue());
                } else {
                    attributes.put(each.getName(), each.hasValue()
                            ? each.getCoreLinkValue().replace("\"", "") : null);
                }
            }
        }
        return list;
    }
}
