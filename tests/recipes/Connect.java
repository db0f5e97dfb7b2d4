// Java's TLS client as an application uses it, to a server on this machine.

import java.net.InetAddress;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

public class Connect {
    public static void main(String[] words) throws Exception {
        SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
        try (SSLSocket socket = (SSLSocket) factory.createSocket(
                InetAddress.getLoopbackAddress(), Integer.parseInt(words[0]))) {
            socket.startHandshake();
            System.out.println("connected");
        }
    }
}
