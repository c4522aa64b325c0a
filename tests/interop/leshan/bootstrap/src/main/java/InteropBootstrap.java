// Leshan's bootstrap server behind JSON lines: a request a line on standard input, answers and events on standard output.
// SPDX-License-Identifier: MIT

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.leshan.core.SecurityMode;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.BootstrapDeleteRequest;
import org.eclipse.leshan.core.request.BootstrapDiscoverRequest;
import org.eclipse.leshan.core.request.BootstrapDownlinkRequest;
import org.eclipse.leshan.core.request.BootstrapReadRequest;
import org.eclipse.leshan.core.request.BootstrapRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.Identity;
import org.eclipse.leshan.core.response.BootstrapDiscoverResponse;
import org.eclipse.leshan.core.response.BootstrapReadResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.util.Hex;
import org.eclipse.leshan.server.bootstrap.BootstrapConfig;
import org.eclipse.leshan.server.bootstrap.BootstrapConfigStore;
import org.eclipse.leshan.server.bootstrap.BootstrapConfigStoreTaskProvider;
import org.eclipse.leshan.server.bootstrap.BootstrapFailureCause;
import org.eclipse.leshan.server.bootstrap.BootstrapSession;
import org.eclipse.leshan.server.bootstrap.BootstrapSessionListener;
import org.eclipse.leshan.server.bootstrap.BootstrapTaskProvider;
import org.eclipse.leshan.server.bootstrap.DefaultBootstrapSessionManager;
import org.eclipse.leshan.server.californium.bootstrap.LeshanBootstrapServer;
import org.eclipse.leshan.server.californium.bootstrap.LeshanBootstrapServerBuilder;
import org.eclipse.leshan.server.model.StandardBootstrapModelProvider;
import org.eclipse.leshan.server.security.BootstrapSecurityStore;
import org.eclipse.leshan.server.security.SecurityChecker;
import org.eclipse.leshan.server.security.SecurityInfo;

/**
 * Options, each with a value: --coap PORT, --coaps PORT (0, the default, takes a free one), --host ADDRESS,
 * --cid LENGTH (none without it), --chain, --key and --trust (PEM files).
 *
 * Operations: config (endpoint, config), remove (endpoint), security-add (endpoint, and for a pre-shared key
 * identity, key as hex), security-remove. A config's "before" lists requests that go first: {"op": "delete|discover|read", "path"}.
 * A configuration is taken as it is, so that a test can hand out an inconsistent one.
 */
public final class InteropBootstrap {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static PrintStream out;

    private final Map<String, BootstrapConfig> configs = new ConcurrentHashMap<>();
    private final Map<String, JsonNode> before = new ConcurrentHashMap<>();
    private final Map<String, SecurityInfo> security = new ConcurrentHashMap<>();
    private final LeshanBootstrapServer server;

    public static void main(String[] args) throws Exception {
        // Only JSON lines may reach standard output, whatever a library prints.
        out = System.out;
        System.setOut(System.err);
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], args[i + 1]);
        }
        new InteropBootstrap(options).serve();
    }

    private InteropBootstrap(Map<String, String> options) throws Exception {
        String host = options.getOrDefault("--host", "127.0.0.1");
        Configuration configuration = LeshanBootstrapServerBuilder.createDefaultCoapConfiguration();
        configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
        if (options.containsKey("--cid")) {
            configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, Integer.valueOf(options.get("--cid")));
        }
        BootstrapSecurityStore store = new BootstrapSecurityStore() {
            @Override
            public Iterator<SecurityInfo> getAllByEndpoint(String endpoint) {
                SecurityInfo info = security.get(endpoint);
                return info == null ? null : Arrays.asList(info).iterator();
            }

            @Override
            public SecurityInfo getByIdentity(String identity) {
                for (SecurityInfo info : security.values()) {
                    if (identity.equals(info.getIdentity())) {
                        return info;
                    }
                }
                return null;
            }
        };
        BootstrapConfigStore configurations = (endpoint, identity, session) -> configs.get(endpoint);
        LeshanBootstrapServerBuilder builder = new LeshanBootstrapServerBuilder();
        builder.setLocalAddress(host, Integer.parseInt(options.getOrDefault("--coap", "0")));
        builder.setLocalSecureAddress(host, Integer.parseInt(options.getOrDefault("--coaps", "0")));
        builder.setCoapConfig(configuration);
        builder.setDtlsConfig(new DtlsConnectorConfig.Builder(configuration));
        builder.setSecurityStore(store);
        if (options.containsKey("--chain")) {
            builder.setCertificateChain(certificates(options.get("--chain")));
            builder.setPrivateKey(privateKey(options.get("--key")));
            builder.setTrustedCertificates(certificates(options.get("--trust")));
        }
        builder.setSessionManager(new DefaultBootstrapSessionManager(store, new SecurityChecker(),
                tasks(configurations), new StandardBootstrapModelProvider()));
        server = builder.build();
        server.addListener(new Listener());
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

    /** The configuration's own requests, after those that the test wants to go first. */
    private BootstrapTaskProvider tasks(BootstrapConfigStore configurations) {
        BootstrapTaskProvider usual = new BootstrapConfigStoreTaskProvider(configurations);
        return (session, responses) -> {
            JsonNode first = before.get(session.getEndpoint());
            if (first == null) {
                return usual.getTasks(session, responses);
            }
            if (responses != null) {
                return usual.getTasks(session, null);
            }
            BootstrapTaskProvider.Tasks tasks = new BootstrapTaskProvider.Tasks();
            tasks.requestsToSend = new ArrayList<>();
            for (JsonNode each : first) {
                tasks.requestsToSend.add(request(each));
            }
            tasks.supportedObjects = Map.of(0, "1.1", 1, "1.1", 2, "1.0");
            tasks.last = false;
            return tasks;
        };
    }

    private static BootstrapDownlinkRequest<? extends LwM2mResponse> request(JsonNode node) {
        String path = node.get("path").asText();
        switch (node.get("op").asText()) {
        case "delete":
            return new BootstrapDeleteRequest(path);
        case "discover":
            return new BootstrapDiscoverRequest(path);
        case "read":
            return new BootstrapReadRequest(ContentFormat.fromCode(node.path("format").asInt(
                    ContentFormat.TLV_CODE)), path);
        default:
            throw new IllegalArgumentException("unknown request: " + node);
        }
    }

    private void serve() throws Exception {
        server.start();
        InetSocketAddress plain = server.getUnsecuredAddress();
        InetSocketAddress secure = server.getSecuredAddress();
        emit(event("ready").put("coap", plain.getPort()).put("coaps", secure.getPort()));
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            JsonNode request = JSON.readTree(line);
            ObjectNode answer = JSON.createObjectNode();
            answer.set("id", request.get("id"));
            try {
                handle(request);
            } catch (Exception e) {
                answer.put("error", e.getClass().getSimpleName() + ": " + e.getMessage());
            }
            emit(answer);
        }
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

    private void handle(JsonNode request) {
        String endpoint = request.get("endpoint").asText();
        switch (request.get("op").asText()) {
        case "config":
            JsonNode node = request.get("config");
            if (node.has("before")) {
                before.put(endpoint, node.get("before"));
            } else {
                before.remove(endpoint);
            }
            configs.put(endpoint, config(node));
            break;
        case "remove":
            configs.remove(endpoint);
            before.remove(endpoint);
            break;
        case "security-add":
            security.put(endpoint, request.has("identity") ? SecurityInfo.newPreSharedKeyInfo(endpoint,
                    request.get("identity").asText(), bytes(request.get("key")))
                    : SecurityInfo.newX509CertInfo(endpoint));
            break;
        case "security-remove":
            security.remove(endpoint);
            break;
        default:
            throw new IllegalArgumentException("unknown op: " + request.get("op").asText());
        }
    }

    private static byte[] bytes(JsonNode hex) {
        return Hex.decodeHex(hex.asText("").toCharArray());
    }

    private static Integer number(JsonNode node, String name) {
        return node.hasNonNull(name) ? node.get(name).asInt() : null;
    }

    private static BootstrapConfig config(JsonNode node) {
        BootstrapConfig config = new BootstrapConfig();
        config.autoIdForSecurityObject = node.path("auto").asBoolean();
        if (node.has("format")) {
            config.contentFormat = ContentFormat.fromCode(node.get("format").asInt());
        }
        if (node.has("delete")) {
            node.get("delete").forEach(path -> config.toDelete.add(path.asText()));
        }
        node.path("security").fields().forEachRemaining(each -> config.security.put(Integer.valueOf(each.getKey()),
                security(each.getValue())));
        node.path("servers").fields().forEachRemaining(each -> config.servers.put(Integer.valueOf(each.getKey()),
                server(each.getValue())));
        node.path("acls").fields().forEachRemaining(each -> config.acls.put(Integer.valueOf(each.getKey()),
                acl(each.getValue())));
        return config;
    }

    private static BootstrapConfig.ServerSecurity security(JsonNode node) {
        BootstrapConfig.ServerSecurity security = new BootstrapConfig.ServerSecurity();
        security.uri = node.get("uri").asText();
        security.bootstrapServer = node.path("bootstrap").asBoolean();
        security.securityMode = SecurityMode.valueOf(node.path("mode").asText("NO_SEC"));
        security.publicKeyOrId = node.has("identity") ? node.get("identity").asText().getBytes(StandardCharsets.UTF_8)
                : bytes(node.path("public"));
        security.serverPublicKey = bytes(node.path("server"));
        security.secretKey = bytes(node.path("key"));
        security.serverId = number(node, "ssid");
        security.clientOldOffTime = number(node, "holdoff");
        security.bootstrapServerAccountTimeout = number(node, "timeout");
        return security;
    }

    private static BootstrapConfig.ServerConfig server(JsonNode node) {
        BootstrapConfig.ServerConfig config = new BootstrapConfig.ServerConfig();
        config.shortId = node.get("ssid").asInt();
        config.lifetime = node.path("lifetime").asInt(300);
        config.binding = BindingMode.parse(node.path("binding").asText("U"));
        config.defaultMinPeriod = number(node, "pmin");
        config.defaultMaxPeriod = number(node, "pmax");
        config.disableTimeout = number(node, "disable");
        config.notifIfDisabled = node.path("storing").asBoolean();
        if (node.has("mute")) {
            config.muteSend = node.get("mute").asBoolean();
        }
        return config;
    }

    private static BootstrapConfig.ACLConfig acl(JsonNode node) {
        BootstrapConfig.ACLConfig config = new BootstrapConfig.ACLConfig();
        config.objectId = node.get("object").asInt();
        config.objectInstanceId = node.get("instance").asInt();
        config.AccessControlOwner = number(node, "owner");
        config.acls = new HashMap<>();
        node.path("rights").fields().forEachRemaining(each -> config.acls.put(Integer.valueOf(each.getKey()),
                each.getValue().asLong()));
        return config;
    }

    /** Tells the session as it goes: initiated, authorized or refused, each request with its answer, the end. */
    private static final class Listener implements BootstrapSessionListener {

        private static ObjectNode about(String name, BootstrapSession session) {
            return event(name).put("endpoint", session.getEndpoint());
        }

        private static ObjectNode about(String name, BootstrapSession session,
                BootstrapDownlinkRequest<? extends LwM2mResponse> request) {
            return about(name, session).put("request", request.getClass().getSimpleName())
                    .put("path", request.getPath() == null ? null : request.getPath().toString());
        }

        private static ObjectNode about(String name, BootstrapSession session,
                BootstrapDownlinkRequest<? extends LwM2mResponse> request, LwM2mResponse response) {
            ObjectNode node = about(name, session, request);
            node.put("code", String.format("%d.%02d", response.getCode().getCode() / 100,
                    response.getCode().getCode() % 100));
            node.put("message", response.getErrorMessage());
            if (response instanceof BootstrapDiscoverResponse && response.isSuccess()) {
                ArrayNode links = node.putArray("links");
                for (Link each : ((BootstrapDiscoverResponse) response).getObjectLinks()) {
                    links.add(each.toString());
                }
            }
            if (response instanceof BootstrapReadResponse && response.isSuccess()) {
                flatten(request.getPath(), ((BootstrapReadResponse) response).getContent(), node.putObject("content"));
            }
            return node;
        }

        private static void flatten(LwM2mPath path, LwM2mNode node, ObjectNode values) {
            if (node instanceof LwM2mObject) {
                ((LwM2mObject) node).getInstances().forEach((id, each) -> flatten(new LwM2mPath(path.getObjectId(),
                        id), each, values));
            } else if (node instanceof LwM2mObjectInstance) {
                ((LwM2mObjectInstance) node).getResources().forEach((id, each) -> flatten(new LwM2mPath(
                        path.getObjectId(), path.getObjectInstanceId(), id), each, values));
            } else if (node instanceof LwM2mResource && !((LwM2mResource) node).isMultiInstances()) {
                values.put(path.toString(), String.valueOf(((LwM2mResource) node).getValue()));
            }
        }

        @Override
        public void sessionInitiated(BootstrapRequest request, Identity identity) {
            ObjectNode node = event("initiated").put("endpoint", request.getEndpointName());
            node.put("format", request.getPreferredContentFormat() == null ? null
                    : request.getPreferredContentFormat().getCode());
            node.put("port", identity.getPeerAddress().getPort());
            node.put("identity", identity.getPskIdentity());
            emit(node);
        }

        @Override
        public void unAuthorized(BootstrapRequest request, Identity identity) {
            emit(event("unauthorized").put("endpoint", request.getEndpointName()));
        }

        @Override
        public void authorized(BootstrapSession session) {
            emit(about("authorized", session));
        }

        @Override
        public void noConfig(BootstrapSession session) {
            emit(about("no-config", session));
        }

        @Override
        public void sendRequest(BootstrapSession session, BootstrapDownlinkRequest<? extends LwM2mResponse> request) {
            emit(about("request", session, request));
        }

        @Override
        public void onResponseSuccess(BootstrapSession session,
                BootstrapDownlinkRequest<? extends LwM2mResponse> request, LwM2mResponse response) {
            emit(about("response", session, request, response));
        }

        @Override
        public void onResponseError(BootstrapSession session,
                BootstrapDownlinkRequest<? extends LwM2mResponse> request, LwM2mResponse response) {
            emit(about("response", session, request, response));
        }

        @Override
        public void onRequestFailure(BootstrapSession session,
                BootstrapDownlinkRequest<? extends LwM2mResponse> request, Throwable cause) {
            emit(about("no-response", session, request).put("message", String.valueOf(cause)));
        }

        @Override
        public void end(BootstrapSession session) {
            emit(about("finished", session));
        }

        @Override
        public void failed(BootstrapSession session, BootstrapFailureCause cause) {
            emit(about("failed", session).put("cause", cause.name()));
        }
    }
}
