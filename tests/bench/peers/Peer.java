// Tomcat peer, embedded: every request runs on one of the connector's threads.

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;

public class Peer {
    static final Logger ROOT = Logger.getLogger("");
    static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    static final byte[] BODY = "Hello World!".getBytes(StandardCharsets.US_ASCII);

    interface Work {
        void run() throws Exception;
    }

    static class Answer extends HttpServlet {
        private final transient Work work;

        Answer(Work work) {
            this.work = work;
        }

        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            try {
                work.run();
            } catch (Exception error) {
                throw new IOException(error);
            }
            response.setContentType("text/plain");
            response.setContentLength(BODY.length);
            response.getOutputStream().write(BODY);
        }
    }

    static void spin() {
        long until = THREADS.getCurrentThreadCpuTime() + 1_000_000;
        while (THREADS.getCurrentThreadCpuTime() < until) {
        }
    }

    static void add(Context context, String path, Work work) {
        Tomcat.addServlet(context, path, new Answer(work));
        context.addServletMappingDecoded(path, path);
    }

    public static void main(String[] arguments) throws Exception {
        String threads = System.getenv("THREADS");
        ROOT.setLevel(Level.WARNING);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(Files.createTempDirectory("peer").toString());
        Connector connector = new Connector();
        connector.setPort(Integer.parseInt(System.getenv("PORT")));
        connector.setProperty("address", "127.0.0.1");
        connector.setProperty("maxThreads", threads);
        connector.setProperty("minSpareThreads", threads);
        connector.setProperty("acceptCount", "4096");
        connector.setProperty("maxConnections", "18000");
        connector.setProperty("maxKeepAliveRequests", "-1");
        connector.setProperty("keepAliveTimeout", "600000");
        tomcat.setConnector(connector);
        Context context = tomcat.addContext("", null);
        add(context, "/hello", () -> { });
        add(context, "/noop", () -> { });
        add(context, "/sleep", () -> Thread.sleep(50));
        add(context, "/spin", Peer::spin);
        tomcat.start();
        tomcat.getServer().await();
    }
}
